import numpy as np
import pytest
import torch

from models.config import SIZES
from models.training.degrade import degrade_image, reduce_and_enlarge
from models.training.pairs import PairSettings, PairSource
from models.training.samples import SampleFolder
from models.training.views import Face, ViewSettings
from stages.content import Degraded
from stages.crop import full_window
from tests.models.training.drawn_heads import make_samples


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("factor", [4, 7, 8, 16, 32, 48])
def test_a_factor_does_to_training_what_it_does_to_the_task(factor):
    """The same grid, kernel and borders: they differ by the rounding to 8 bits alone."""
    image = picture(75, 94)
    window = full_window(94, 75, 1.0, 0)
    task = Degraded(factor).from_source(np.asarray(image / 255, np.float32), window)[:, :75, :94].transpose(1, 2, 0)
    wanted = ((task + 1) * 127.5).clip(0, 255)
    np.testing.assert_allclose(degrade_image(image, factor), wanted, atol=0.51)
    assert (factor == 4) == np.array_equal(degrade_image(image, factor), image)


def test_the_style_crop_is_degraded_as_the_task_does_it_at_any_scale_of_the_source():
    smooth = np.asarray(reduce_and_enlarge(torch.from_numpy(picture(120, 160)).permute(2, 0, 1)[None].float(), 3))
    image = smooth[0].clip(0, 255).round().astype(np.uint8).transpose(1, 2, 0).copy()
    for scale in (0.5, 0.8, 1.25):
        task = Degraded(24).style_source(np.asarray(image / 255, np.float32), scale) * 255
        apart = np.abs(degrade_image(image, 24, scale) - task)[16:-16, 16:-16]
        assert apart.mean() < 0.04 * np.std(image)


def test_pairs_count_factors_at_face_scale(tmp_path):
    """The eyes of the drawn heads are 24 px apart where face scale has 64: the source is 64/24 times too small."""
    samples = SampleFolder(make_samples(tmp_path, 1, 96))
    arrays = samples.load(0, ["image", "landmarks"])
    face = Face.from_landmarks(arrays["landmarks"], 96, 96)
    assert np.linalg.norm((face.eyes[1] - face.eyes[0]) * 96) == pytest.approx(24)
    still = ViewSettings(crop_px=(96, 96), eye_distance_px=(24, 24), rotation_deg=0, reach=0, mirror=0)
    settings = PairSettings(degrade=(32, 32), scenes=1, crops=1, view=still)
    x = PairSource(samples, settings, SIZES["tiny"], 0).batch(0).x[0]
    shown = ((x.permute(1, 2, 0).numpy() + 1) * 127.5).round()
    wanted = degrade_image(arrays["image"], 32, 64 / 24)
    assert np.abs(shown - wanted)[8:-8, 8:-8].mean() < 2
    assert np.abs(shown - degrade_image(arrays["image"], 32))[8:-8, 8:-8].mean() > 4
