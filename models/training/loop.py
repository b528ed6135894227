"""The loop that every recipe runs in: steps, log, checkpoints, exact resume, and stopping in good order."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import torch

from models.errors import UserError
from models.training.distributed import World
from models.training.log import LossLog
from models.training.settings import RunSettings
from models.training.watch import DivergedError, LossWatch

Progress = Callable[[int, float], None]


class Learner(Protocol):
    """A recipe: networks, optimisers and data, and what one step does with them.

    A step may depend on its number, the seed and `state`, and on nothing else: then a resumed run is the same run.
    """

    def step(self, index: int, steps: int) -> dict[str, float]:
        """Train step `index` (from 0) of `steps`; named numbers for the log, "loss" first."""
        ...

    def sheet(self) -> np.ndarray:
        """Samples to look at: uint8 [H, W, 3] RGB."""
        ...

    def write(self, folder: Path, metadata: dict[str, str]) -> None:
        """The weights as they would ship now, into files of the project's own format."""
        ...

    def state(self) -> dict[str, Any]:
        """Tensors and plain values, all that `load_state` needs."""
        ...

    def load_state(self, state: dict[str, Any]) -> None: ...

    def close(self) -> None:
        """Stop what runs beside the steps."""
        ...


class Run:
    """One training run in one folder: losses.csv, checkpoint.pt (to resume), the weights, samples.png."""

    def __init__(self, learner: Learner, settings: RunSettings, folder: Path, world: World | None = None) -> None:
        self.learner, self.settings, self.folder = learner, settings, folder
        self.world = world or World()
        self.step = 0
        self._watch = LossWatch(settings.explode_factor, settings.explode_steps)
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def checkpoint(self) -> Path:
        """What `resume` reads."""
        return self.folder / "checkpoint.pt"

    def run(self, progress: Progress | None = None, until: int | None = None) -> None:
        """Train from the current step to the end (or `until`), saving as it goes.

        Raises:
            UserError: the loss is no number or has exploded; the last good checkpoint is kept and named.
            KeyboardInterrupt: SIGINT came; the state was saved first.
        """
        last = min(until or self.settings.steps, self.settings.steps)
        log = LossLog(self.folder, self.step, self.settings.tensorboard) if self.world.first else None
        started = time.perf_counter()
        try:
            with _interrupt() as interrupted:
                while self.step < last:
                    numbers = self._advance()
                    if log is not None:
                        log.add(self.step, numbers | {"seconds": round(time.perf_counter() - started, 2)})
                    if progress is not None:
                        progress(self.step, numbers["loss"])
                    stop = self.world.any(interrupted())
                    if stop or self.step % self.settings.save_every == 0 or self.step == self.settings.steps:
                        self._save(log)
                    if stop:
                        raise KeyboardInterrupt
        finally:
            if log is not None:
                log.close()

    def _advance(self) -> dict[str, float]:
        # Seeded by the step, not once: whatever a step draws, it draws again when it is repeated after a resume.
        torch.manual_seed(hash((self.settings.seed, self.step, self.world.rank)) & (2**63 - 1))
        try:
            numbers = self.learner.step(self.step, self.settings.steps)
            numbers["loss"] = self.world.mean(numbers["loss"])
            self._watch.see(numbers["loss"])
        except DivergedError as error:
            kept = (
                f"the last good checkpoint is {self.checkpoint}" if self.checkpoint.exists() else "none was saved yet"
            )
            raise UserError(
                f"training: {error}, at step {self.step}; {kept}", "lower optimizer.learning_rate and run it again"
            ) from error
        self.step += 1
        return numbers

    def _save(self, log: LossLog | None) -> None:
        if log is None or self._watch.suspicious:  # what is there was saved while all was well
            return
        log.flush()
        part = self.folder / "checkpoint.part"
        state = {"learner": self.learner.state(), "watch": self._watch.state(), "step": self.step}
        torch.save(state, part)
        part.replace(self.checkpoint)
        self.learner.write(self.folder, {"steps": str(self.step), "seed": str(self.settings.seed)})
        sheet = self.learner.sheet()
        log.show(self.step, sheet)
        picture = self.folder / "samples.part.png"
        cv2.imwrite(str(picture), np.ascontiguousarray(sheet[:, :, ::-1]))
        picture.replace(self.folder / "samples.png")

    def resume(self) -> bool:
        """Go on from checkpoint.pt where there is one; the losses that follow are those of an uninterrupted run.

        Raises:
            UserError: the checkpoint is damaged, or of another configuration.
        """
        if not self.checkpoint.exists():
            return False
        try:
            state = torch.load(self.checkpoint, weights_only=True, map_location="cpu")
            self.learner.load_state(state["learner"])
            self._watch.load_state(state["watch"])
        except Exception as error:  # torch.load and load_state_dict raise nearly anything on what does not fit
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise UserError(
                f"{self.checkpoint}: cannot be resumed ({reason})",
                "resume with the configuration that it was made with, or choose another output folder",
            ) from error
        self.step = state["step"]
        return True


@contextmanager
def _interrupt() -> Iterator[Callable[[], bool]]:
    """Within: the first SIGINT only sets what the yielded function tells; the second acts as ever."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = signal.getsignal(signal.SIGINT)

    def note(*_: object) -> None:
        asked.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)


def sheet_of(rows: list[torch.Tensor]) -> np.ndarray:
    """Rows of pictures, each [n, 3, h, w] in [−1, 1] of one size → uint8 RGB; the rows need the same widths."""
    sheet = torch.cat([torch.cat(list(row.float().cpu()), dim=2) for row in rows], dim=1)
    return ((sheet.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
