"""The loop that every recipe runs in: steps, log, checkpoints, exact resume, and stopping in good order."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
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

    rate_settings: str
    """Settings that a run which diverges should lower."""
    file: str
    """Name of what `write` writes."""

    def step(self, index: int, steps: int) -> dict[str, float]:
        """Train step `index` (from 0) of `steps`; named numbers for the log, "loss" first."""
        ...

    def sheet(self) -> np.ndarray:
        """Samples to look at: uint8 [H, W, 3] RGB."""
        ...

    def write(self, folder: Path, metadata: dict[str, str]) -> None:
        """The weights as they would ship now, into `file` of the project's own format."""
        ...

    def state(self) -> dict[str, Any]:
        """Tensors and plain values, all that `load_state` needs."""
        ...

    def load_state(self, state: dict[str, Any]) -> None: ...

    def close(self) -> None:
        """Stop what runs beside the steps."""
        ...


class Run:
    """One training run in one folder: losses.csv, checkpoint.pt (to resume), the weights, samples.png.

    Args:
        decisions: dotted setting → value of all that decides the run, kept in the checkpoint: a run that was decided
            otherwise does not go on from there.

    Raises:
        UserError: the folder cannot be made.
    """

    def __init__(
        self,
        learner: Learner,
        settings: RunSettings,
        folder: Path,
        world: World | None = None,
        decisions: Mapping[str, str] | None = None,
    ) -> None:
        self.learner, self.settings, self.folder = learner, settings, folder
        self.world, self._decisions = world or World(), dict(decisions or {})
        self.step = 0
        self._watch = LossWatch(settings.explode_factor, settings.explode_steps)
        self._unproven = folder / "unproven"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            remedy = "set output to a folder that can be written"
            raise UserError(f"output: {folder}: {error.strerror or error}", remedy) from error

    @property
    def checkpoint(self) -> Path:
        """What `resume` reads."""
        return self.folder / "checkpoint.pt"

    @property
    def weights(self) -> Path:
        """What comes of it."""
        return self.folder / self.learner.file

    def run(self, progress: Progress | None = None, until: int | None = None) -> None:
        """Train from the current step to the end (or `until`), saving as it goes.

        Raises:
            UserError: the loss is no number or has exploded, or is suspicious at the end; the last good checkpoint is
                kept and named.
            KeyboardInterrupt: SIGINT came; the state was saved first.
        """
        last = min(until or self.settings.steps, self.settings.steps)
        log = LossLog(self.folder, self.step, self.settings.tensorboard) if self.world.first else None
        started, loss = time.perf_counter(), 0.0
        self._settle(good=False)  # of a process that was killed
        try:
            with _interrupt() as interrupted:
                while self.step < last:
                    numbers = self._advance()
                    loss = numbers["loss"]
                    if log is not None:
                        log.add(self.step, numbers | {"seconds": round(time.perf_counter() - started, 2)})
                    self._settle(good=not self._watch.suspicious)
                    if progress is not None:
                        progress(self.step, loss)
                    stop = self.world.any(interrupted())
                    if stop or self.step % self.settings.save_every == 0 or self.step == self.settings.steps:
                        self._save(log)
                    if stop:
                        raise KeyboardInterrupt
            if self._watch.suspicious and self.step == self.settings.steps:
                what = f"training: the loss is {loss:.4g}, far above the usual, at the last step {self.step}"
                raise UserError(f"{what}; {self._kept()}", f"raise run.steps, or lower {self.learner.rate_settings}")
        finally:
            self._settle(good=True)
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
            self._settle(good=False)
            remedy = f"lower {self.learner.rate_settings} and run it again"
            raise UserError(f"training: {error}, at step {self.step + 1}; {self._kept()}", remedy) from error
        self.step += 1
        return numbers

    def _kept(self) -> str:
        found = self.checkpoint.exists()
        return f"the last good checkpoint is {self.checkpoint}" if found else "no checkpoint was saved yet"

    def _save(self, log: LossLog | None) -> None:
        if log is None or self._watch.suspicious:  # what is there was saved while all was well
            return
        log.flush()
        part = self._unproven.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        state = {"learner": self.learner.state(), "watch": self._watch.state(), "step": self.step}
        torch.save(state | {"decisions": self._decisions}, part / self.checkpoint.name)
        self.learner.write(part, {"steps": str(self.step), "seed": str(self.settings.seed)})
        sheet = self.learner.sheet()
        log.show(self.step, sheet)
        cv2.imwrite(str(part / "samples.png"), np.ascontiguousarray(sheet[:, :, ::-1]))
        part.rename(self._unproven)

    def _settle(self, good: bool) -> None:
        """Keep or drop what was saved last: a step changes the weights after its loss, so the next loss judges it."""
        if not (self.world.first and self._unproven.exists()):
            return
        if good:
            for path in self._unproven.iterdir():
                path.replace(self.folder / path.name)
        shutil.rmtree(self._unproven)

    def resume(self) -> bool:
        """Go on from checkpoint.pt where there is one; the losses that follow are those of an uninterrupted run.

        Raises:
            UserError: the checkpoint is damaged, or of another configuration.
        """
        if not self.checkpoint.exists():
            return False
        try:
            state = torch.load(self.checkpoint, weights_only=True, map_location="cpu")
            self._compare(state.get("decisions"))
            self.learner.load_state(state["learner"])
            self._watch.load_state(state["watch"])
        except UserError:
            raise
        except Exception as error:  # torch.load and load_state_dict raise nearly anything on what does not fit
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise UserError(
                f"{self.checkpoint}: cannot be resumed ({reason})",
                "resume with the configuration that it was made with, or choose another output folder",
            ) from error
        self.step = state["step"]
        return True

    def _compare(self, made: Mapping[str, str] | None) -> None:
        """Refuse a checkpoint that other decisions made; one of a release before they were kept passes."""
        if made is None:
            return
        for name in sorted(made.keys() | self._decisions.keys()):
            before, now = (decisions.get(name, "its default") for decisions in (made, self._decisions))
            if before != now:
                raise UserError(
                    f"{self.checkpoint}: was made with {name}: {before}, now it is {now}",
                    "set it as it was, or choose another output folder",
                )


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
