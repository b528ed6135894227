"""An analysis of any length is read and smoothed in little memory."""

import gc
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from models.latent import Latent
from models.latent_file import FaceLatent, LatentFrame, LatentWriter
from stages.analysis import NUMBERS, Analysis, AnalysisTable, MadeBy, MadeFrom, Pin, latent_info
from stages.read import ReadConfig
from stages.replay import Replay
from stages.style import StyleConfig
from stages.track import TrackConfig
from stages.types import Frame
from tests.stages import makers


def anonymous_mb():
    """Memory of this process that no file backs (a mapped file's pages are the system's to take back)."""
    status = Path("/proc/self/status").read_text()
    found = re.search(r"RssAnon:\s+(\d+) kB", status)
    assert found
    return int(found[1]) / 1024


def write_analysis(folder, clip, count, pin=()):
    """One face that drifts, w+ as large as the published models', two shots; written frame by frame."""
    folder.mkdir()
    table = AnalysisTable(
        source=MadeFrom(name="a.mp4", sha256="0"),
        model=MadeBy(name="m", encoder_sha256="0"),
        settings={},
        cuts=[count // 3],
        seen=[1] * count,
        pin=list(pin),
    )
    rng = np.random.default_rng(0)
    points = makers.face(center=(150.0, 110.0), eye_distance=60).landmarks
    with LatentWriter(folder / NUMBERS, latent_info(table, clip)) as writer:
        for index in range(count):
            shot = int(index >= count // 3)
            geometry = {
                "landmarks": (points + 0.01 * index).astype(np.float32),
                "score": np.array(0.9, np.float64),
                "source": np.array(0, np.uint8),
            }
            wplus = torch.from_numpy(rng.standard_normal((1, 18, 512), np.float32))
            writer.write(LatentFrame(index, index, (FaceLatent(Latent(wplus), None, shot, geometry),), shot))
    table.save(folder)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="measured by Linux's own numbers")
@pytest.mark.parametrize(("count", "most_mb"), [(700, 30), pytest.param(10_000, 200, marks=pytest.mark.release)])
def test_memory_stays_small(tmp_path, count, most_mb):
    clip = makers.clip(320, 240)
    before = highest = anonymous_mb()
    write_analysis(tmp_path / "a", clip, count)
    highest = max(highest, anonymous_mb())
    analysis = Analysis(tmp_path / "a")
    frames = (Frame((), clip.layout, clip.color, clip.rotation, index, 512, index, clip) for index in range(count))
    seen = 0
    replay = Replay(analysis, TrackConfig(), StyleConfig(latents="smooth"), clip, ReadConfig())
    for item in replay.stream(frames):
        assert item.styles[0].wplus is not None
        assert item.styles[0].wplus.shape == (1, 18, 512)
        seen += 1
        if seen % 50 == 0:
            highest = max(highest, anonymous_mb())
    gc.collect()
    assert seen == count
    assert highest - before < most_mb
    print(f"{count} frames: {highest - before:.0f} MB")


@pytest.mark.parametrize(("latents", "idle"), [("shot", []), ("clip", [(1, 12)]), ("frame", [(0, 3), (1, 12)])])
def test_a_pin_without_effect_is_told_once(tmp_path, caplog, latents, idle):
    clip = makers.clip(320, 240)
    write_analysis(tmp_path / "a", clip, 30, pin=[Pin(track=0, frame=3), Pin(track=1, frame=12)])
    replay = Replay(Analysis(tmp_path / "a"), TrackConfig(), StyleConfig(latents=latents), clip, ReadConfig())
    frames = (Frame((), clip.layout, clip.color, clip.rotation, index, 512, index, clip) for index in range(15))
    assert len(list(replay.stream(frames))) == 15
    told = [record.getMessage().partition("pin: ")[2] for record in caplog.records]
    assert told == [f"track {track}, frame {frame}: not used with style.latents: {latents}" for track, frame in idle]
