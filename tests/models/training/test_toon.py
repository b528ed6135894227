import numpy as np
import pytest

pytest.importorskip("skimage", reason="scikit-image (training extra) is not installed")

from models.training.data import draw_example, load_photographs, load_portraits, make_example
from models.training.procedural import procedural_picture
from models.training.toon import ToneAnchor, tone_anchor, toon


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    """The astronaut's head and shoulders."""
    return np.ascontiguousarray(load_portraits()[0].image[0:256, 100:356])


@pytest.fixture(scope="module")
def anchor(portrait: np.ndarray) -> ToneAnchor:
    return tone_anchor(portrait)


def test_cartoon_differs_plainly_and_is_flatter(portrait, anchor):
    cartoon = toon(portrait, anchor)
    assert cartoon.shape == portrait.shape
    assert cartoon.dtype == np.uint8
    difference = np.abs(cartoon.astype(int) - portrait.astype(int)).mean()
    assert 8 < difference < 60
    flat = [np.mean(np.abs(np.diff(picture.astype(int), axis=1)) <= 1) for picture in (portrait, cartoon)]
    assert flat[1] > 1.3 * flat[0]


def test_cartoon_is_steady_under_sensor_noise(portrait, anchor):
    """No hard threshold flips: noise of ±2 code values comes out smaller than it went in."""
    noise = np.random.default_rng(0).normal(0, 2, portrait.shape)
    noisy = np.clip(np.rint(portrait + noise), 0, 255).astype(np.uint8)
    change = np.abs(toon(noisy, anchor).astype(float) - toon(portrait, anchor))
    assert change.mean() < np.abs(noisy.astype(float) - portrait).mean()


def test_cartoon_moves_with_the_picture(portrait, anchor):
    inner = slice(40, -40)
    shifted = toon(np.roll(portrait, 8, axis=1), anchor)[inner, inner].astype(int)
    assert np.abs(np.roll(toon(portrait, anchor), 8, axis=1)[inner, inner] - shifted).max() <= 1


def test_style_crop_places_the_tone_bands(portrait, anchor):
    darker = anchor._replace(middle=anchor.middle - 12)
    assert np.abs(toon(portrait, darker).astype(int) - toon(portrait, anchor)).mean() > 0.5


def test_tone_anchor_of_a_flat_grey():
    found = tone_anchor(np.full((256, 256, 3), 119, np.uint8))
    assert found.middle == pytest.approx(50.0, abs=0.5)
    assert found.spread == 7.0


def test_examples_follow_from_the_seed():
    sources = [load_portraits()[0], load_photographs(["chelsea"])[0]]
    for source in sources:
        first, again = (make_example(np.random.default_rng(5), source, 96) for _ in range(2))
        assert [part.shape for part in first] == [(96, 96, 3), (96, 96, 3), (256, 256, 3)]
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    other = make_example(np.random.default_rng(6), sources[0], 96)
    assert not np.array_equal(other[0], first[0])


def test_drawn_pictures_have_colour_and_edges():
    picture = procedural_picture(np.random.default_rng(3), 128)
    assert picture.shape == (128, 128, 3)
    assert picture.std() > 10
    assert np.abs(np.diff(picture.astype(int), axis=0)).max() > 30


def test_every_kind_of_example_can_be_drawn():
    portraits, photographs = load_portraits()[:1], load_photographs(["grass"])
    for seed in range(6):
        x, y, _ = draw_example(np.random.default_rng(seed), portraits, photographs, 64)
        assert x.shape == y.shape == (64, 64, 3)
