"""The clips that are made: size, length, and faces that a detector finds."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from models.blazeface import BlazeFaceDetector
from pipeline.benchmark.clips import PORTRAIT, ClipPlan
from tests.helpers import decode_all


@pytest.mark.parametrize("plan", [ClipPlan(), ClipPlan(960, 544), ClipPlan(960, 640, faces=6)])
def test_as_many_faces_as_wanted_are_found(plan: ClipPlan) -> None:
    portrait = np.asarray(cv2.imread(str(PORTRAIT)), np.uint8)
    picture = np.ascontiguousarray(plan.picture(portrait, 5)[:, :, ::-1])
    assert picture.shape == (plan.height, plan.width, 3)
    assert len(BlazeFaceDetector().detect(picture)) == plan.faces


def test_the_file(tmp_path: Path) -> None:
    frames = [np.asarray(frame) for frame in decode_all(ClipPlan(160, 96, 3).make(tmp_path / "clip.mp4"))]
    assert [frame.shape for frame in frames] == [(96, 160, 3)] * 3
    assert not np.array_equal(frames[0], frames[2])
