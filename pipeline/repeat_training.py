"""Train the first steps of a shipped model again and compare the losses with its record.

    python -m pipeline.repeat_training lite_edit --heads output/heads

The heads that those steps draw are rendered where the folder does not hold them: a few, whatever the set's size. Exit
status 0: the recorded losses; 1: others; 2: it cannot be repeated, and why.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import torch

from models.errors import UserError
from models.training.distributed import World
from models.training.log import read_losses
from models.training.loop import Run
from models.training.record import RECORDS, Record, file_sha256, read_records
from models.training.samples import Samples
from pipeline.errors import ConfigError
from pipeline.train import load_train_config
from pipeline.train_recipes import make_learner

TOLERANCE = 2e-4
"""Relative. The same machine and release of torch give every digit; others sum in another order."""


class Repetition(NamedTuple):
    """Losses of the first steps."""

    recorded: list[float]
    again: list[float]

    @property
    def deviation(self) -> float:
        """Largest relative difference."""
        return max(abs(a - b) / abs(b) for a, b in zip(self.again, self.recorded, strict=True))


def repeat_training(name: str, record: Record, steps: int, heads: Path) -> Repetition:
    """Train the first steps that `record` tells of, on the CPU.

    Args:
        name: of the model, for messages.
        steps: at most as many as there are losses in the record.
        heads: folder of the set of synthetic heads; what is missing in it is rendered.

    Raises:
        UserError: the record does not say enough, or what the run began from is no longer there.
    """
    losses = list(record.get("first_losses") or [])
    if not 1 <= steps <= len(losses):
        raise ConfigError(f"{name}: {steps} steps, {len(losses)} recorded losses", "ask for as many as there are")
    init = record["init"]
    if init is not None and file_sha256(Path(init["file"])) != init["sha256"]:
        remedy = f"take the version whose sha256 begins {init['sha256'][:12]}"
        raise ConfigError(f"{name}: {init['file']} is not the file that the run began from", remedy)
    changes = dict(record["overrides"]) | ({"data.folder": str(heads)} if record["heads"] is not None else {})
    config, model = load_train_config(Path(record["recipe"]), changes)
    samples = None if record["heads"] is None else _samples(name, record["heads"], heads)
    before = torch.get_num_threads()
    torch.set_num_threads(config.threads or before)
    try:
        with tempfile.TemporaryDirectory() as folder:
            learner = make_learner(config, model, World(), torch.device("cpu"), samples)
            with closing(learner):
                Run(learner, config.run, Path(folder)).run(until=steps)
            again = [loss for _, loss in read_losses(Path(folder) / "losses.csv")]
    finally:
        torch.set_num_threads(before)
    return Repetition(losses[:steps], again)


def _samples(name: str, heads: dict[str, int], folder: Path) -> Samples:
    try:
        from models.training.heads.dataset import VERSION, Order
        from models.training.rendered import RenderedHeads
    except ImportError as error:
        remedy = "pip install -r requirements-train.txt"
        raise ConfigError(f"{name}: the heads cannot be rendered ({error})", remedy) from error
    if heads["version"] != VERSION:
        what = f"{name}: trained on heads of version {heads['version']}, this renderer draws version {VERSION}"
        raise ConfigError(what, "use the release that the model was trained with")
    return RenderedHeads(Order(folder, heads["count"], heads["seed"], heads["size"], heads["variants"]))


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.repeat_training", description=__doc__)
    parser.add_argument("model", help="stem of a file in models/weights")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--heads", type=Path, default=Path("output/heads"), help="missing heads are rendered into it")
    parser.add_argument("--records", type=Path, default=RECORDS)
    asked = parser.parse_args(arguments)
    try:
        records = read_records(asked.records)
        if asked.model not in records:
            raise ConfigError(f"{asked.records}: no record of {asked.model}", f"there are {', '.join(records)}")
        found = repeat_training(asked.model, records[asked.model], asked.steps, asked.heads)
    except UserError as error:
        print(f"error: {error.what}\nhint: {error.remedy}", file=sys.stderr)
        return 2
    for step, (ours, theirs) in enumerate(zip(found.again, found.recorded, strict=True), 1):
        print(f"step {step}: {ours:.7g}, recorded {theirs:.7g}")
    same = found.deviation <= TOLERANCE
    print(f"largest deviation {found.deviation:.2g}, allowed {TOLERANCE:g}: {'the same' if same else 'NOT the same'}")
    return 0 if same else 1


if __name__ == "__main__":
    raise SystemExit(main())
