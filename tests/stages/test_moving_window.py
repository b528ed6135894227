"""A window that moves by fractions of a pixel over a grating sees exactly the grating that moved: no shimmer."""

import cv2
import numpy as np
import pytest

from stages.content import Rgb
from stages.resample import axis_operator
from stages.types import CropWindow

SIZE, SIDE = 300, 96
SHIFTS = np.arange(9) / 8


def grating(cycles: float) -> np.ndarray:
    """[H, W, 3] around 0.5, amplitude 0.4; `cycles` per source pixel, across and a little down."""
    y, x = np.mgrid[:SIZE, :SIZE]
    wave = 0.5 + 0.4 * np.cos(2 * np.pi * cycles * (x + 0.3 * y))
    return np.repeat(wave[..., None], 3, axis=-1).astype(np.float32)


def heard(picture: np.ndarray, cycles: float, scale: float, left: float, top: float) -> tuple[complex, float]:
    """(what of the grating is in the window: 1 = all, in phase; what else is there, over the amplitude)."""
    y, x = (np.arange(SIDE) + 0.5) / scale + top - 0.5, (np.arange(SIDE) + 0.5) / scale + left - 0.5
    turn = np.exp(2j * np.pi * cycles * (x[None] + 0.3 * y[:, None]))
    columns = np.stack([np.ones(turn.size), np.real(turn).ravel(), np.imag(turn).ravel()], axis=1)
    fit, *_ = np.linalg.lstsq(columns, picture.ravel().astype(np.float64), rcond=None)
    rest = picture.ravel() - columns @ fit
    return complex(fit[1], fit[2]) / 0.8, float(np.sqrt(2 * np.mean(rest**2))) / 0.8  # x1 spans [−1, 1]


def windows(cycles: float, scale: float) -> tuple[np.ndarray, np.ndarray]:
    picture, found = grating(cycles), []
    for shift in SHIFTS:
        left, top = 40 + shift, 30 + 0.7 * shift
        window = CropWindow(scale, left, top, SIDE, SIDE, full=False)
        found.append(heard(Rgb("bspline").from_source(picture, window)[0], cycles, scale, left, top))
    gains, rests = zip(*found, strict=True)
    return np.array(gains), np.array(rests)


@pytest.mark.parametrize("scale", [0.45, 0.7, 0.93, 1.0, 1.31])
@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_what_the_window_can_carry_stays_in_place_and_as_strong(scale, share):
    """`share`: of the frequency that window and source can both carry."""
    gains, rests = windows(share * 0.5 * min(scale, 1.0), scale)
    assert np.abs(gains).min() > (0.87 if share <= 0.25 else 0.5)
    assert np.abs(np.angle(gains)).max() < 0.01 * 2 * np.pi  # of a period
    assert np.ptp(np.abs(gains)) < (0.005 if share <= 0.25 else 0.03)  # it does not pulse as the window moves
    assert rests.max() < 0.05  # nothing is there that the grating has not


def test_the_kernel_pulses_less_than_bilinear_and_the_sharper_cubic():
    """At scale 1, half of what the samples can carry: a moving window makes bilinear blur come and go."""
    pulse = {kernel: [] for kernel in ("bspline", "cubic", "triangle")}
    wave = np.cos(2 * np.pi * 0.25 * np.arange(SIZE)).astype(np.float32)
    for kernel, gains in pulse.items():
        for shift in SHIFTS:
            seen = axis_operator(SIZE, SIDE, 1.0, 40 + shift, kernel) @ wave
            gains.append(float(np.hypot(seen[:-1], seen[1:]).mean()))  # a quarter of a period apart
    ranges = {kernel: np.ptp(gains) for kernel, gains in pulse.items()}
    assert ranges["bspline"] < 0.4 * ranges["cubic"]
    assert ranges["cubic"] < 0.6 * ranges["triangle"]


@pytest.mark.parametrize("scale", [0.35, 0.45, 0.7])
def test_what_the_window_cannot_carry_is_gone_at_every_shift(scale):
    gains, rests = windows(min(0.95, 1.7 * scale) * 0.5, scale)
    assert np.abs(gains).max() < 0.12
    assert rests.max() < 0.12


def test_plain_bilinear_reduction_fails_where_this_passes():
    """The measure tells the difference: the same grating through cv2's bilinear, as the published scripts resize."""
    scale, cycles = 0.45, 0.38
    picture, side, rests = grating(cycles), round(SIZE * 0.45), []
    for shift in SHIFTS:
        moved = cv2.warpAffine(picture, np.array([[1, 0, -shift], [0, 1, 0]]), (SIZE, SIZE), flags=cv2.INTER_CUBIC)
        small = cv2.resize(moved, (side, side), interpolation=cv2.INTER_LINEAR)[4:-4, 4:-4, 0]
        rests.append(float(np.std(small)) / 0.4 * np.sqrt(2))
    assert max(rests) > 0.3
    assert windows(cycles, scale)[1].max() < 0.12
