"""A render whose planes and pictures take a GPU's way, here with the CPU as the device."""

import numpy as np
import pytest

from pipeline import load_config, stream
from pipeline.resources import Loader


@pytest.mark.parametrize(
    "settings", [{}, {"crop.frame": "window", "crop.window_px": 128}, {"composite.size": "300x220"}]
)
def test_the_gpus_way_gives_the_same_pictures(
    sample_clip, monkeypatch: pytest.MonkeyPatch, settings: dict[str, object]
) -> None:
    config, loader = load_config(None, {"read.end": 3, "report.preview_frames": 0} | settings), Loader()
    here = [frame.image for frame in stream(sample_clip, config=config, loader=loader)]
    used: list[str] = []

    def on_gpu(device: object) -> bool:
        used.append(str(device))
        return True

    monkeypatch.setattr("stages.crop.on_gpu", on_gpu)
    monkeypatch.setattr("stages.composite.on_gpu", on_gpu)
    there = [frame.image for frame in stream(sample_clip, config=config, loader=loader)]
    assert len(used) > 3
    for a, b in zip(here, there, strict=True):
        assert np.abs(a.astype(int) - b.astype(int)).max() <= 2
