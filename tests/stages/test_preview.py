import sys

import cv2
import numpy as np
import pytest

from stages.errors import MediaError
from stages.preview import before_after_sheet, sample_frames, spread
from stages.read import ReadConfig
from tests.helpers import frames_of, moving, write_clip


def test_spread_takes_the_middles_of_equal_parts():
    assert spread(0, 240, 4) == [30, 90, 150, 210]
    assert spread(10, 30, 2) == [15, 25]
    assert spread(0, 3, 8) == [0, 1, 2]
    assert spread(5, 5, 4) == []


@pytest.mark.parametrize("without_decord", [False, True])
@pytest.mark.parametrize("rotation", [0, 90])
def test_samples_are_the_frames_of_those_numbers(tmp_path, monkeypatch, without_decord, rotation):
    if without_decord:
        monkeypatch.setattr("stages.preview._has_decord", lambda: False)
    else:
        pytest.importorskip("decord")
    clip = write_clip(tmp_path / "a.mp4", moving(24, 96, 64, cuts=[12]), rotation=rotation, options={"bf": "3"})
    frames = frames_of(clip)
    for read, numbers in (
        (None, [4, 12, 20]),
        (ReadConfig(start=6, end=12), [7, 9, 11]),
        ({"start": 20}, [20, 22, 23]),
    ):
        samples = sample_frames(clip, 3, read)
        assert [number for number, _ in samples] == numbers
        for number, picture in samples:
            ours = frames[number].rgb8()
            assert picture.shape == ours.shape
            assert np.abs(picture.astype(int) - ours).mean() < 4


def test_images_and_deep_clips_are_read_too(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "decord", None)  # must not even be tried
    deep = write_clip(tmp_path / "deep.mkv", moving(4), codec="ffv1", pix_fmt="yuv422p10le")
    assert [n for n, _ in sample_frames(deep, 2)] == [1, 3]
    cv2.imwrite(str(tmp_path / "a.png"), moving(1)[0])
    assert [(n, p.shape) for n, p in sample_frames(tmp_path / "a.png", 4)] == [(0, (48, 64, 3))]


def test_sheet_holds_both_rows(tmp_path):
    red, blue = np.zeros((480, 640, 3), np.uint8), np.zeros((960, 1280, 3), np.uint8)
    red[..., 0], blue[..., 2] = 255, 255
    path = tmp_path / "sheet.png"
    before_after_sheet([(3, red), (9, red)], [(3, blue)], path)
    sheet = cv2.imread(str(path))
    assert sheet is not None
    colours, areas = np.unique(sheet.reshape(-1, 3), axis=0, return_counts=True)
    area = {tuple(colour): int(count) for colour, count in zip(colours.tolist(), areas, strict=True)}
    assert area[0, 0, 255] == 2 * 240 * 320  # two above, in OpenCV's order of colours
    assert area[255, 0, 0] == 240 * 320  # one below, reduced to the same height
    reds, blues = (np.argwhere((sheet == colour).all(axis=2)) for colour in ((0, 0, 255), (255, 0, 0)))
    assert reds[:, 0].max() < blues[:, 0].min()
    assert reds[:, 1].min() == blues[:, 1].min()  # frame 9 has nothing under it
    with pytest.raises(MediaError, match="no picture"):
        before_after_sheet([], [], tmp_path / "empty.png")
