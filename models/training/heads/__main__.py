"""`python -m models.training.heads --out DIR --count N --seed S`: write a set of synthetic heads."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from models.errors import UserError


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 0 done, 2 the user's mistake (two lines say what and what to do), 130 interrupted."""
    parser = argparse.ArgumentParser(prog="python -m models.training.heads", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder; a set that was begun there is continued")
    parser.add_argument("--count", type=int, required=True, help="how many samples")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same bits")
    parser.add_argument("--size", type=int, default=256, help="pixels, square")
    parser.add_argument("--variants", type=int, default=0, metavar="K", help="also four edits of every K-th scene")
    parser.add_argument("--clips", type=int, default=0, help="how many clips with flow besides, in DIR/clips")
    parser.add_argument("--frames", type=int, default=24, help="of each clip")
    parser.add_argument("--workers", type=int, default=1, help="processes, one core each")
    asked = parser.parse_args(arguments)
    try:
        return _write(asked)
    except UserError as error:
        print(f"error: {error.what}\nhint: {error.remedy}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130


def _write(asked: argparse.Namespace) -> int:
    from models.training.heads.clips import write_clips
    from models.training.heads.dataset import Order, prepare
    from models.training.heads.workers import write_set

    order = Order(asked.out, asked.count, asked.seed, asked.size, asked.variants)
    prepare(order)
    write_set(order, asked.workers)
    for path in write_clips(order, asked.clips, asked.frames):
        print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
