"""Inside and outside: by difference, or by a matte clip."""

import cv2
import numpy as np
import pytest

from pipeline.metrics.matte import Difference, MatteClip, WholeFrame, opened
from pipeline.metrics.pairs import Pair
from stages.errors import MediaError
from tests.helpers import write_clip
from tests.pipeline.metrics.makers import WINDOW, clip, toon


def pair(source, result, index=0):
    return Pair(index, 0, source.astype(np.float32) / 255, result.astype(np.float32) / 255)


def test_difference_covers_the_rendered_window_and_little_more():
    frame = clip(1)[0]
    mask = Difference()(pair(frame, toon(frame)))
    top, bottom, left, right = WINDOW
    assert mask[top + 6 : bottom - 6, left + 6 : right - 6].all()
    assert not mask[:, right + 33 :].any()
    assert mask.mean() < 0.9


def test_difference_finds_a_head_that_alone_was_replaced():
    frame = clip(1)[0]
    y, x = np.mgrid[: frame.shape[0], : frame.shape[1]]
    egg = ((x - 72) / 34) ** 2 + ((y - 60) / 40) ** 2 < 1
    mask = Difference()(pair(frame, np.where(egg[..., None], 255 - frame, frame)))
    assert mask[egg].all()
    assert not mask[:, 72 + 34 + 33 :].any()
    assert mask.mean() < 0.9


def test_difference_sees_nothing_in_an_untouched_or_reencoded_frame():
    frame = clip(1)[0]
    noise = np.random.default_rng(0).integers(-4, 5, frame.shape)
    assert not Difference()(pair(frame, frame)).any()
    assert not Difference()(pair(frame, np.clip(frame.astype(int) + noise, 0, 255))).any()


def test_difference_everywhere_is_the_whole_frame():
    frame = clip(1)[0]
    assert Difference()(pair(frame, 255 - frame)).all()


def mattes(*sides):
    frames = []
    for side in sides:
        frame = np.zeros((24, 32, 3), np.uint8)
        frame[:, :16] = 255 if side == "left" else 0
        frame[:, 16:] = 0 if side == "left" else 255
        frames.append(frame)
    return frames


def test_a_matte_clip_follows_frame_numbers_and_size(tmp_path):
    path = write_clip(tmp_path / "m.mkv", mattes("left", "left", "right"), codec="ffv1", pix_fmt="gray")
    frame = np.zeros((48, 64, 3), np.uint8)
    with opened(path, start=10) as matte:
        assert str(path) in matte.name
        assert matte(pair(frame, frame, 10))[:, :30].all()
        mask = matte(pair(frame, frame, 12))
    assert mask.shape == (48, 64)
    assert mask[:, 34:].all()
    assert not mask[:, :30].any()


def test_a_single_image_holds_for_every_frame(tmp_path):
    cv2.imwrite(str(tmp_path / "m.png"), mattes("left")[0])
    frame = np.zeros((24, 32, 3), np.uint8)
    with opened(tmp_path / "m.png") as matte:
        for index in (0, 5, 99):
            assert matte(pair(frame, frame, index)).mean() == 0.5


def test_a_matte_that_ends_early_is_a_user_error(tmp_path):
    path = write_clip(tmp_path / "m.mkv", mattes("left", "left"), codec="ffv1", pix_fmt="gray")
    frame = np.zeros((24, 32, 3), np.uint8)
    matte = MatteClip(path)
    with pytest.raises(MediaError, match="the matte ends at frame 1"):
        matte(pair(frame, frame, 2))
    matte.close()


def test_words():
    with opened("auto") as auto, opened("full") as full:
        assert isinstance(auto, Difference)
        assert isinstance(full, WholeFrame)
    with pytest.raises(MediaError), opened("no/such.mp4"):
        pass
