"""The whole pipeline on a real GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import load_config, stream
from pipeline.resources import Loader

pytestmark = pytest.mark.needs_cuda
COUNT = 20


@pytest.fixture(scope="module")
def loader() -> Loader:
    return Loader()


def images(source: Path, loader: Loader, **overrides: Any) -> np.ndarray:
    settings = {"report.preview_frames": 0, "read.end": COUNT, "device": "cuda:0"}
    config = load_config(None, settings | {key.replace("__", "."): value for key, value in overrides.items()})
    frames = [frame.image for frame in stream(source, config=config, loader=loader)]
    assert len(frames) == COUNT
    return np.stack(frames).astype(np.int16)


def test_equals_the_cpus_within_three_code_values(sample_clip: Path, loader: Loader) -> None:
    difference = np.abs(images(sample_clip, loader) - images(sample_clip, loader, device="cpu"))
    assert difference.max() <= 3
    assert difference.mean() < 0.05


@pytest.mark.parametrize(
    "way", [{"buffers__crop": 0, "buffers__synthesize": 0}, {"batch_size": 3}, {"device": "cuda:0,0"}], ids=str
)
def test_threads_batches_and_lanes_change_no_more_than_a_rounding(
    sample_clip: Path, loader: Loader, way: dict[str, Any]
) -> None:
    difference = np.abs(images(sample_clip, loader) - images(sample_clip, loader, **way))
    assert difference.max() <= 1
    assert difference.mean() < 0.01


def test_bf16_is_within_40_db(sample_clip: Path, loader: Loader) -> None:
    difference = images(sample_clip, loader) - images(sample_clip, loader, precision="bf16")
    assert 0 < np.square(difference.astype(np.float64)).mean() < 255**2 / 10**4


def test_compiled_equals_the_network_as_it_is(
    sample_clip: Path, loader: Loader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    difference = np.abs(images(sample_clip, loader) - images(sample_clip, loader, compile=True))
    assert difference.max() <= 2
