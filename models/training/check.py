"""Does a command give the losses that a model card records?

`python -m models.training.check models/weights/lite_toon3d.losses.csv output/train_lite_toon3d/losses.csv` compares the
steps that both files have; the exit status is 0 where they agree, 1 where they do not.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import NamedTuple

from models.errors import UserError
from models.training.log import read_losses


class Agreement(NamedTuple):
    """Of two runs, over the steps that both have."""

    steps: int
    first_difference: int | None
    """First step whose losses are further apart than the tolerance."""
    largest: float
    """Largest relative difference."""


def compare(recorded: Path, found: Path, tolerance: float = 1e-3) -> Agreement:
    """Losses step by step. Other processors round otherwise, and the differences grow: hence the tolerance.

    Raises:
        UserError: a file that is missing or no losses.csv, or no step in common.
    """
    tables = []
    for path in (recorded, found):
        try:
            tables.append(dict(read_losses(path)))
        except (OSError, KeyError, ValueError) as error:
            raise UserError(
                f"{path}: not a readable losses.csv ({error!r})", "give the file that `train` wrote"
            ) from error
    common = sorted(set(tables[0]) & set(tables[1]))
    if not common:
        raise UserError(f"{recorded} and {found} have no step in common", "train for as many steps as are recorded")
    apart = [abs(tables[1][step] - tables[0][step]) / max(abs(tables[0][step]), 1e-12) for step in common]
    worse = [step for step, error in zip(common, apart, strict=True) if not error <= tolerance]
    return Agreement(len(common), worse[0] if worse else None, max(apart, key=lambda e: math.inf if e != e else e))


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare the losses of two runs.")
    parser.add_argument("recorded", type=Path)
    parser.add_argument("found", type=Path)
    parser.add_argument("--tolerance", type=float, default=1e-3, help="relative")
    arguments = parser.parse_args()
    try:
        result = compare(arguments.recorded, arguments.found, arguments.tolerance)
    except UserError as error:
        print(f"error: {error.what}\nhint: {error.remedy}", file=sys.stderr)
        return 2
    verdict = "agree" if result.first_difference is None else f"differ from step {result.first_difference} on"
    print(f"{result.steps} steps {verdict}; largest relative difference {result.largest:.2g}")
    return 0 if result.first_difference is None else 1


if __name__ == "__main__":
    sys.exit(main())
