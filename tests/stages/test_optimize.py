"""optimize: step II frame by frame, warm from the one before, with word of how far it is."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.styleganex import StyleGANEX
from stages import optimize as stage
from stages.optimize import Optimize, OptimizeConfig
from stages.types import CroppedFace, CroppedFrame, CropWindow, EncodedFrame, StyleRef
from tests.golden.make_model_goldens import TINY, fill, normal
from tests.stages.makers import face, face_frame

CONFIG = OptimizeConfig(steps=4, warm_steps=2)


@pytest.fixture(autouse=True)
def _without_lpips(monkeypatch, tmp_path):
    monkeypatch.setenv("STYLEGANEX_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))


def test_the_fallback_is_stated(net, caplog):
    run(net, [encoded(net, 0)])
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING and "no LPIPS" in r.getMessage()]


@pytest.fixture(scope="module")
def net() -> StyleGANEX:
    return fill(StyleGANEX(replace(TINY, num_skips=0))).eval().requires_grad_(False)


def encoded(net, index: int, shot: int = 0, faces: int = 1) -> EncodedFrame:
    people = [face(track, (20.0 + 20 * track, 24.0), 10.0) for track in range(faces)]
    window = CropWindow(1.0, 0.0, 0.0, 32, 32, full=False)
    crops = tuple(
        CroppedFace(person, StyleRef((shot, k), None), window, np.tanh(normal(f"x{k}", (3, 32, 32)).numpy()))
        for k, person in enumerate(people)
    )
    with torch.inference_mode():
        latents = tuple(net.invert(torch.from_numpy(crop.image)[None]) for crop in crops)
    return EncodedFrame(CroppedFrame(face_frame(index, shot, people), crops), latents)


def run(net, items, config=CONFIG):
    return list(Optimize(net, config, seed=1).stream(item for item in items))


def test_a_shot_starts_cold_and_goes_on_warm(net, caplog):
    caplog.set_level(logging.INFO, "stages.optimize")
    run(net, [encoded(net, 0), encoded(net, 1), encoded(net, 2, faces=0), encoded(net, 3), encoded(net, 4, shot=1)])
    lines = [record.getMessage() for record in caplog.records if "PSNR" in record.getMessage()]
    assert [(line.split(",")[0], line.split(": ")[1].split(" ")[0]) for line in lines] == [
        ("frame 0", "4"),
        ("frame 1", "2"),
        ("frame 3", "2"),
        ("frame 4", "4"),
    ]


def test_faces_do_not_disturb_each_other(net):
    (both,) = run(net, [encoded(net, 0, faces=2)])
    (one,) = run(net, [encoded(net, 0)])
    assert len(both.latents) == len(both.noises) == 2
    assert torch.equal(both.latents[0].wplus, one.latents[0].wplus)
    assert all(torch.equal(a, b) for a, b in zip(both.noises[0], one.noises[0], strict=True))
    assert not torch.equal(both.latents[1].wplus, one.latents[0].wplus)


def test_without_noise_maps(net):
    (done,) = run(net, [encoded(net, 0)], CONFIG.model_copy(update={"noise": False}))
    assert done.noises == ()


def test_progress_goes_to_the_log_where_there_is_no_terminal(net, caplog, monkeypatch):
    monkeypatch.setattr(stage, "LOG_EVERY_S", 0.0)
    caplog.set_level(logging.INFO, "stages.optimize")
    run(net, [encoded(net, 7)])
    lines = [record.getMessage() for record in caplog.records if ": step " in record.getMessage()]
    assert [line.split(", loss")[0] for line in lines] == [f"frame 7, face 0: step {i} of 4" for i in (1, 2, 3, 4)]
    caplog.clear()
    caplog.set_level(logging.WARNING, "stages.optimize")  # --quiet
    run(net, [encoded(net, 7)])
    assert not [record for record in caplog.records if record.levelno < logging.WARNING]


def test_warm_steps_never_exceed_steps(net, caplog):
    caplog.set_level(logging.INFO, "stages.optimize")
    run(net, [encoded(net, 0), encoded(net, 1)], OptimizeConfig(steps=3))
    lines = [record.getMessage() for record in caplog.records if "PSNR" in record.getMessage()]
    assert [": 3 steps" in line for line in lines] == [True, True]
