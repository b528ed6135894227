"""Samples of an egg: what they hold, that they repeat, and that their parts fit each other."""

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

pytest.importorskip("numba", reason="the rasteriser is compiled by numba (requirements-train.txt)")

from models.training.heads.background import background, drawn
from models.training.heads.color import to_linear, to_srgb, to_uint8
from models.training.heads.sample import Renderer, edits
from models.training.heads.sampling import sample_scene

SIZE = 96


@pytest.fixture(scope="module")
def renderer(stage):
    return Renderer(stage, SIZE)


@pytest.fixture(scope="module")
def sample(renderer, scene):
    return renderer.sample(scene)


def at(picture, points):
    x, y = np.rint(points).astype(int).T
    return picture[y, x]


def test_shapes(sample):
    for picture in (sample.image, sample.toon3d, sample.cartoon, sample.ink):
        assert picture.shape == (SIZE, SIZE, 3)
        assert picture.dtype == np.uint8
        assert picture.std() > 10
    assert sample.sketch.shape == sample.parsing.shape == (SIZE, SIZE)
    assert sample.landmarks.shape == sample.toon_landmarks.shape == (68, 2)
    assert sample.parsing.max() < 19


def test_the_same_seed_gives_the_same_bits(stage, renderer, scene, sample):
    renderer.image(sample_scene(99))  # what was drawn before does not matter
    again = Renderer(stage, SIZE).sample(scene)
    for name in ("image", "toon3d", "cartoon", "ink", "sketch", "parsing", "landmarks", "toon_landmarks"):
        assert np.array_equal(getattr(again, name), getattr(sample, name)), name


def test_parsing_holds_its_landmarks(sample):
    """iBUG order; l is the person's left, the image's right (classes of CelebAMask-HQ)."""
    marks = sample.landmarks
    assert set(at(sample.parsing, marks[18:21])) == {3}
    assert set(at(sample.parsing, marks[23:26])) == {2}
    assert set(at(sample.parsing, marks[28:31])) == {10}
    assert set(at(sample.parsing, marks[50:53] + np.array([0, 1]))) == {12}
    assert set(at(sample.parsing, marks[56:59] - np.array([0, 1]))) == {13}
    left, right = marks[36:42].mean(axis=0), marks[42:48].mean(axis=0)
    assert at(sample.parsing, left[None]) == 5
    assert at(sample.parsing, right[None]) == 4
    assert right[0] - left[0] == pytest.approx(50 * SIZE / 256, rel=0.1)
    assert {0, 1, 16, 17} <= set(np.unique(sample.parsing))


def test_ink_keeps_the_place_of_everything(sample, scene):
    behind = drawn(background(scene.background, SIZE), ink=True)
    far = np.logical_not(binary_dilation(sample.parsing != 0, iterations=5))  # away from the outline
    assert far.sum() > 100
    assert np.abs(sample.ink[far].astype(int) - to_uint8(behind)[far]).max() <= 3
    assert (sample.sketch[far] == 255).all()
    assert sample.sketch.min() < 80


def test_the_cartoon_has_larger_eyes_in_the_same_place(sample):
    def eye(marks):
        return np.linalg.norm(marks[45] - marks[42])

    assert eye(sample.toon_landmarks) > 1.15 * eye(sample.landmarks)
    shift = np.linalg.norm(sample.toon_landmarks[36:48].mean(axis=0) - sample.landmarks[36:48].mean(axis=0))
    assert shift < 0.02 * SIZE


def test_the_cartoon_is_the_ink_drawing_of_the_changed_face(sample):
    """The wall is alike; the eyes show more white, as in the film, and lines that the film has not."""
    assert (np.abs(sample.cartoon.astype(int) - sample.ink).max(axis=2) <= 3)[sample.parsing == 0].mean() > 0.9
    left, top = sample.toon_landmarks[36:48].min(axis=0).astype(int) - 2
    right, bottom = sample.toon_landmarks[36:48].max(axis=0).astype(int) + 3
    white, dark = {}, {}
    for name in ("cartoon", "toon3d", "ink"):
        eyes = getattr(sample, name)[top:bottom, left:right]
        white[name], dark[name] = (eyes.min(axis=2) > 140).sum(), (eyes.max(axis=2) < 70).sum()
    assert white["cartoon"] > 1.3 * white["ink"]
    assert dark["cartoon"] > 2 * dark["toon3d"]


def test_variants_change_what_they_name(renderer, scene, sample):
    variants = renderer.variants(scene)
    assert set(variants) == set(edits(scene)) == {"age", "smile", "hair", "eye_size"}
    changed = {name: (picture != sample.image).any(axis=2) for name, (picture, _) in variants.items()}
    assert all(mask.any() for mask in changed.values())
    not_hair = np.logical_not(binary_dilation(np.isin(sample.parsing, (1, 2, 3, 4, 5, 17)), iterations=4))
    assert not_hair.sum() > 1000
    assert not changed["hair"][not_hair].any()
    inside = sample.parsing == 0
    assert changed["smile"][inside].mean() < 0.02
    for name, (_, attributes) in variants.items():
        assert attributes != sample.attributes, name


def test_sizes_show_the_same_picture(stage, renderer, scene, sample):
    double = Renderer(stage, 2 * SIZE).image(scene).astype(np.float32)
    small = double.reshape(SIZE, 2, SIZE, 2, 3).mean(axis=(1, 3))
    face = np.isin(sample.parsing, (1, 10))
    assert np.abs(small - sample.image)[face].mean() < 8


def test_colors_go_round():
    values = np.linspace(0, 0.85, 50, dtype=np.float32)
    assert np.abs(to_srgb(to_linear(values)) - values).max() < 1e-3
    assert (np.diff(to_srgb(np.linspace(0, 9, 200, dtype=np.float32))) >= 0).all()
    assert to_srgb(np.array([50.0], np.float32)).max() <= 1.0


@pytest.mark.parametrize("seed", range(6))
def test_backgrounds(seed):
    still = background(seed, 48)
    assert still.shape == (48, 48, 3)
    assert 0 <= still.min() <= still.max() <= 1
    moved = background(seed, 48, (4 / 48, 0.0))
    assert np.abs(moved[:, 4:] - still[:, :-4]).max() < 1e-5
    assert drawn(still, ink=False).shape == drawn(still, ink=True).shape == still.shape
