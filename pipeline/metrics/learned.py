"""Metrics that see with a network: identity over time (TL-ID, TG-ID) and temporal LPIPS. Both need weight files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from models.identity import IdentityNet
from models.perceptual import Lpips, load_lpips
from pipeline.metrics.config import FlickerConfig
from pipeline.metrics.landmarks import FacePair
from pipeline.metrics.pairs import Pair, Picture
from pipeline.metrics.verdict import Status, Verdict

MOST_KEPT = 256
"""Embeddings per shot that TG-ID compares with each other; of longer shots every second, fourth … is kept."""


@dataclass(slots=True)
class _Shot:
    last: tuple[int, NDArray[np.float32], NDArray[np.float32]] | None = None
    """Frame and the embeddings of input and output."""
    before: tuple[int, Picture, Picture] | None = None
    local: dict[int, float] = field(default_factory=dict)
    distances: dict[int, float] = field(default_factory=dict)
    kept: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = field(default_factory=list)
    step: int = 1
    seen: int = 0


class Learned:
    """Collects what the networks say of each pair; `verdicts` sums it up.

    TL-ID and TG-ID (Tzaban et al., SIGGRAPH Asia 2022, STIT §5): with S the cosine similarities of the frames'
    identity embeddings, the mean of S_output / S_input over neighbours, and over all pairs of a shot. Both pictures are
    aligned by the input's landmarks. tLP (Chu et al., TecoGAN): 100 · |LPIPS(x, x') − LPIPS(y, y')| of neighbours.
    """

    def __init__(self, config: FlickerConfig) -> None:
        self._config = config
        weights, lpips = config.identity, config.temporal_lpips
        self._identity = IdentityNet(weights.weights, weights.mean, weights.scale) if weights.weights else None
        self._lpips: Lpips | None = None
        if lpips.backbone and lpips.heads:
            self._lpips = load_lpips(lpips.backbone, lpips.heads, "alex")
        self._shots: dict[int, _Shot] = {}

    def add(self, pair: Pair, face: FacePair | None) -> None:
        """Look at one pair; pairs come in order."""
        if pair.source is None or pair.result is None:
            return
        shot = self._shots.setdefault(pair.shot, _Shot())
        if pair.apart:
            shot.last = shot.before = None
        if self._identity is not None and face is not None:
            codes = [self._identity(_codes(picture), face.source) for picture in (pair.source, pair.result)]
            self._compare(shot, pair.index, codes[0], codes[1])
        if self._lpips is not None:
            if shot.before is not None and shot.before[0] == pair.index - 1:
                _, source, result = shot.before
                change = self._distance(source, pair.source) - self._distance(result, pair.result)
                shot.distances[pair.index] = 100 * abs(change)
            shot.before = pair.index, pair.source, pair.result

    def verdicts(self) -> Iterator[Verdict]:
        """Per shot; or that it was not measured, and why."""
        identity, lpips = self._config.identity, self._config.temporal_lpips
        if self._identity is None:
            for metric in ("tl_id", "tg_id"):
                yield Verdict(metric, "not measured", note="weights missing (identity.weights)")
        if self._lpips is None:
            yield Verdict("temporal_lpips", "not measured", note="weights missing (temporal_lpips.backbone and .heads)")
        for number, shot in self._shots.items():
            if shot.local:
                yield _least("tl_id", number, float(np.mean(list(shot.local.values()))), identity.tl_id, shot.local)
            if len(shot.kept) > 1:
                yield _least("tg_id", number, _global(shot.kept), identity.tg_id, {})
            if shot.distances:
                value = float(np.mean(list(shot.distances.values())))
                worst = max(shot.distances, key=lambda frame: shot.distances[frame])
                status: Status = "reported" if lpips.most is None else "failed" if value > lpips.most else "passed"
                note = f"worst single value {shot.distances[worst]:.3g} at frame {worst}"
                yield Verdict("temporal_lpips", status, number, "frame", value, lpips.most, note=note)
        if self._identity is not None and not any(shot.local for shot in self._shots.values()):
            for metric in ("tl_id", "tg_id"):
                yield Verdict(metric, "not measured", note="no face in two neighbouring input frames")

    def _compare(self, shot: _Shot, frame: int, source: NDArray[np.float32], result: NDArray[np.float32]) -> None:
        if shot.last is not None and shot.last[0] == frame - 1:
            shot.local[frame] = _quotient(float(shot.last[2] @ result), float(shot.last[1] @ source))
        shot.last = frame, source, result
        if shot.seen % shot.step == 0:
            shot.kept.append((source, result))
        shot.seen += 1
        if len(shot.kept) > MOST_KEPT:
            shot.kept, shot.step = shot.kept[::2], shot.step * 2

    def _distance(self, a: Picture, b: Picture) -> float:
        assert self._lpips is not None
        tensors = [torch.from_numpy(np.ascontiguousarray(p.transpose(2, 0, 1)))[None] * 2 - 1 for p in (a, b)]
        with torch.inference_mode():
            return float(self._lpips(*tensors))


def _least(metric: str, shot: int, value: float, limit: float | None, frames: dict[int, float]) -> Verdict:
    status: Status = "reported" if limit is None else "failed" if value < limit else "passed"
    note = ""
    if frames:
        worst = min(frames, key=lambda frame: frames[frame])
        note = f"lowest single value {frames[worst]:.3g} at frame {worst}"
    return Verdict(metric, status, shot, "frame", value, limit, note=note)


def _global(kept: list[tuple[NDArray[np.float32], NDArray[np.float32]]]) -> float:
    source, result = (np.stack(codes) for codes in zip(*kept, strict=True))
    above = np.triu_indices(len(kept), k=1)
    quotients = [_quotient(y, x) for y, x in zip((result @ result.T)[above], (source @ source.T)[above], strict=True)]
    return float(np.mean(quotients))


def _quotient(result: float, source: float) -> float:
    """Similarities of one person are far above 0; what is not says nothing and must not explode."""
    return result / max(source, 0.05)


def _codes(picture: Picture) -> NDArray[np.uint8]:
    return np.clip(np.rint(picture * 255), 0, 255).astype(np.uint8)
