"""optimize: step II of inversion, w+, f and noise fitted to the picture by gradient (StyleGANEX §4.2)."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Generator, Iterator
from dataclasses import replace

from pydantic import Field
from torch import Tensor
from tqdm import tqdm

from models.latent import Latent
from models.optimize import Optimized, Progress, Schedule, optimize
from models.perceptual import MultiscaleDistance, find_distance
from models.styleganex import StyleGANEX
from models.zoo import weights_dir
from stages.base import Section
from stages.batches import x1_of
from stages.types import CroppedFace, EncodedFrame

log = logging.getLogger(__name__)
LOG_EVERY_S = 10.0


class OptimizeConfig(Section):
    """How long and how step II works. It costs a forward and a backward pass per step and frame."""

    steps: int = Field(default=0, ge=0, le=10_000)
    """Gradient steps on a shot's first frame; 0: step I alone. Published: 500."""
    warm_steps: int = Field(default=100, ge=1, le=10_000)
    """Steps on each later frame, which begins where the one before ended; never more than `steps`."""
    noise: bool = True
    """Fit noise maps too (published). Off: less exact, and nothing that could flicker."""
    patience: int | None = Field(default=None, ge=1)
    """Steps without progress after which a frame stops early; null: never."""


class Optimize:
    """EncodedFrame → EncodedFrame with latents that were fitted to their windows.

    Each face starts from the result of its last frame in the shot.

    Args:
        seed: of the jitter and the first noise maps.
    """

    name = "optimize"
    lookahead = 0

    def __init__(self, net: StyleGANEX, config: OptimizeConfig, seed: int) -> None:
        self._net = net
        self._config = config
        self._seed = seed
        self._device = next(net.parameters()).device

    def stream(self, items: Generator[EncodedFrame, None, None]) -> Generator[EncodedFrame, None, None]:
        """Fit every frame, in order; how far it is shows as a bar on a terminal, in the log elsewhere."""
        distance = find_distance(self._device, folders=(weights_dir(),))
        # As a warning the fallback stands in the report too.
        level = logging.WARNING if isinstance(distance, MultiscaleDistance) else logging.INFO
        log.log(level, "step II measures distances by %s", distance.name)
        schedule = Schedule(
            steps=self._config.steps,
            warm_steps=min(self._config.warm_steps, self._config.steps),
            noise=self._config.noise,
            patience=self._config.patience,
        )
        before: dict[int, Optimized] = {}
        shot = -1
        with contextlib.closing(items):
            for item in items:
                if item.cropped.face_frame.shot != shot:
                    shot, before = item.cropped.face_frame.shot, {}
                latents: list[Latent] = []
                noises: list[tuple[Tensor, ...]] = []
                for crop, latent in zip(item.cropped.crops, item.latents, strict=True):
                    warm = before.get(crop.face.track_id)
                    with _progress(_named(item, crop)) as progress:
                        result = optimize(
                            *(self._net, self._target(crop), latent, distance, schedule),
                            seed=self._seed,
                            warm=warm,
                            progress=progress,
                        )
                    self._say(item, crop, result)
                    before[crop.face.track_id] = result
                    latents.append(result.latent)
                    if result.noise is not None:
                        noises.append(result.noise)
                yield replace(item, latents=tuple(latents), noises=tuple(noises))

    def _target(self, crop: CroppedFace) -> Tensor:
        return x1_of(crop, self._device)[None]

    @staticmethod
    def _say(item: EncodedFrame, crop: CroppedFace, result: Optimized) -> None:
        losses = result.losses[0]
        log.info(
            "%s: %d steps, loss %.4f → %.4f, PSNR %.2f dB",
            _named(item, crop),
            len(losses),
            losses[0] if losses else float("nan"),
            losses[-1] if losses else float("nan"),
            result.psnr[0],
        )


def _named(item: EncodedFrame, crop: CroppedFace) -> str:
    return f"frame {item.cropped.face_frame.frame.index}, face {crop.face.track_id}"


@contextlib.contextmanager
def _progress(name: str) -> Iterator[Progress]:
    """What shows the steps of one frame: a second bar under the frames', or a log line every ten seconds."""
    wanted = log.isEnabledFor(logging.INFO)
    shown = wanted and sys.stderr.isatty()
    started = logged = time.perf_counter()
    with tqdm(unit="step", desc=name, leave=False, position=1, dynamic_ncols=True, disable=not shown) as bar:

        def report(done: int, most: int, loss: float) -> None:
            nonlocal logged
            bar.total = most
            bar.update(done - bar.n)
            bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
            now = time.perf_counter()
            if wanted and not shown and now - logged >= LOG_EVERY_S:
                logged, left = now, (most - done) * (now - started) / done
                log.info("%s: step %d of %d, loss %.4f, %.0f s left", name, done, most, loss, left)

        yield report
