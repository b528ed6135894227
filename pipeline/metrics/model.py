"""Equivariance of a model on the first face of a clip."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.blazeface import BlazeFaceDetector
from models.zoo import LoadedModel
from pipeline.metrics.config import FlickerConfig
from pipeline.metrics.equivariance import Equivariance, Network, Picture, eq_r, eq_t, random_shifts
from pipeline.metrics.verdict import Status, Verdict
from stages.geometry import EYE_DISTANCE, align_face, face_center, robust_eye_distance
from stages.media_probe import probe
from stages.pixels import to_network
from stages.read import Read, ReadConfig
from stages.resample import Resampler, axis_operator
from stages.types import Frame

SIDE = 256
MARGIN = 64
"""Pixels around the window that it may move or turn into."""
SEARCHED = 48
"""Frames in which a face is looked for."""
ANGLES = (-15.0, -7.5, 7.5, 15.0)
SHIFTS = 6


def model_equivariance(model: LoadedModel, source: str | Path, config: FlickerConfig) -> list[Verdict]:
    """EQ-T and EQ-R of a model around the first face of a clip, at face scale, with that face's w+."""
    found = _first_face(source)
    if found is None:
        note = f"no face in the first {SEARCHED} frames of the input"
        return [Verdict(metric, "not measured", note=note) for metric in ("eq_t", "eq_r")]
    picture, aligned = found
    network = _network(model, aligned)
    results = [
        ("eq_t", eq_t(network, picture, random_shifts(SHIFTS, SIDE), SIDE), config.eq_t),
        ("eq_r", eq_r(network, picture, ANGLES, SIDE), config.eq_r),
    ]
    return [_verdict(metric, result, limit, model.name) for metric, result, limit in results]


def _verdict(metric: str, result: Equivariance, limit: float | None, name: str) -> Verdict:
    status: Status = "reported" if limit is None else "failed" if result.db < limit else "passed"
    move, worst = min(result.cases, key=lambda case: case[1])
    note = f"{name}; worst {worst:.1f} dB at {', '.join(f'{part:g}' for part in move)}"
    return Verdict(metric, status, None, "frame", result.db, limit, "dB", note=note)


def _network(model: LoadedModel, aligned: Tensor) -> Network:
    net = model.net
    device = next(net.parameters()).device

    def draw(window: Tensor) -> Tensor:
        return net.synthesize(net.invert(window.to(device), aligned.to(device)))

    return draw


def _first_face(source: str | Path) -> tuple[Picture, Tensor] | None:
    """A square around the first face, at face scale in [−1, 1], and its aligned crop [1, 3, 256, 256]."""
    detector = BlazeFaceDetector()
    for frame in _frames(source):
        faces = detector.detect(frame.rgb8())
        if faces:
            landmarks = faces[0].landmarks
            crop = to_network(align_face(frame.rgb8(), landmarks).astype(np.float32) / np.float32(255))
            return _around(frame, landmarks), torch.from_numpy(crop)[None]
    return None


def _frames(source: str | Path) -> Iterator[Frame]:
    frames = Read(ReadConfig(end=SEARCHED, on_corrupt="repeat"), probe(source)).stream()
    with contextlib.closing(frames):
        yield from frames


def _around(frame: Frame, landmarks: np.ndarray) -> Picture:
    rgb = frame.rgb()
    scale, side = EYE_DISTANCE / robust_eye_distance(landmarks), SIDE + 2 * MARGIN
    left, top = (c + 0.5 - side / scale / 2 for c in face_center(landmarks))
    cut = Resampler(axis_operator(rgb.shape[0], side, scale, top), axis_operator(rgb.shape[1], side, scale, left))
    return np.ascontiguousarray(cut(rgb) * np.float32(2) - np.float32(1))
