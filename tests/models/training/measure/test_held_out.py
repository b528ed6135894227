import numpy as np

from models.training.measure.held_out import EYE_DISTANCE, head, held_out_numbers
from models.training.proportions import Proportions
from tests.models.training.measure.heads import DrawnHeads


def test_a_head_lies_at_face_scale_upright_with_its_landmarks():
    item = head(DrawnHeads(4), 2, ["parsing", "variant_age", "toon3d"])
    marks = item.landmarks["landmarks"]
    left, right = marks[36:42].mean(axis=0), marks[42:48].mean(axis=0)
    np.testing.assert_allclose(right - left, (EYE_DISTANCE, 0), atol=1e-6)
    for eye, label in ((left, 4), (right, 5)):  # what is drawn there is where the landmarks say
        rows, columns = np.nonzero(item.arrays["parsing"] == label)
        np.testing.assert_allclose((columns.mean(), rows.mean()), eye, atol=1.5)
    assert item.image.shape == item.arrays["variant_age"].shape == item.aligned.shape == (256, 256, 3)
    assert item.attributes["age"]["age"] - item.attributes[""]["age"] == 25


def test_a_set_without_attributes_or_variants_gives_heads_too():
    item = head(DrawnHeads(4), 1, ["variant_age"])
    assert "variant_age" not in item.arrays
    assert list(item.attributes) == [""]


def test_proportions_bend_the_target_and_leave_the_toon():
    whole = head(DrawnHeads(4), 0, ["toon3d"])
    assert "target" not in whole.arrays
    none = Proportions(jaw=0, brows=0, nose=0, eyes=0, mouth=0)
    still = head(DrawnHeads(4), 0, ["toon3d"], none)
    moved = whole.landmarks["toon_landmarks"] - whole.landmarks["landmarks"]
    assert np.abs(moved).min() > 1
    np.testing.assert_allclose(still.landmarks["target_landmarks"], still.landmarks["landmarks"], atol=1e-6)
    np.testing.assert_array_equal(still.landmarks["toon_landmarks"], whole.landmarks["toon_landmarks"])
    np.testing.assert_array_equal(still.arrays["toon3d"], whole.arrays["toon3d"])
    assert np.abs(still.arrays["target"].astype(int) - whole.arrays["toon3d"]).mean() > 1


def test_the_last_of_a_set_are_held_out():
    assert list(held_out_numbers(DrawnHeads(10), 3)) == [7, 8, 9]
    assert list(held_out_numbers(DrawnHeads(2), 3)) == [0, 1]
