"""How each shipped weight file came to be, as a machine reads it: models/weights/records.json.

One record per file, by its stem:

    state         "complete"; "unmeasured": nothing is held out yet; "early": made before records were kept, some
                  entries unknown (null), and a recipe that has changed since
    sha256, bytes of the file
    recipe        configs/*.yaml, and `overrides`: dotted setting → value laid over it, places left out
    init          {file, sha256} that the run began from, or null
    heads         {count, seed, size, variants, version} of the set as the run saw it, or of a later one in which
                  what the run reads is the same; null: no synthetic heads
    seed, threads, steps, seconds, hardware, torch
    first_losses  of the first steps, to seven digits; `last_loss`: mean of the last 50
    held_out      figure → value, by `models.training.evaluate --report … --record`; `measured_on` says on what
    tables        [{title, header, rows}] of that report, where it has some
    commands      train, export and evaluate, in this order; `heads` before them where there is a set

`pipeline.repeat_training` trains the first steps again and compares.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from models.errors import UserError

RECORDS = Path("models/weights/records.json")
FIRST = 5
"""Losses kept of the beginning."""
LAST = 50
ENTRIES = (
    "state", "sha256", "bytes", "recipe", "overrides", "init", "heads", "seed", "threads", "steps", "seconds",
    "hardware", "torch", "first_losses", "last_loss", "held_out", "measured_on", "commands",
)  # fmt: skip
MAY_BE_NULL = ("init", "heads")
PLACES = ("data.folder", "output")
"""Settings that say where, not what; a record leaves them out."""

Record = dict[str, Any]


def file_sha256(path: Path) -> str:
    """Hexadecimal digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_records(path: Path = RECORDS) -> dict[str, Record]:
    """Every record, by the stem of its weight file; empty where there is no such file.

    Raises:
        UserError: it cannot be read.
    """
    if not path.exists():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path}: cannot be read ({error})", "take it from the repository again") from error


def put_record(path: Path, name: str, record: Mapping[str, Any]) -> None:
    """Add or replace one record; the file is complete or as it was."""
    records = read_records(path) | {name: dict(record)}
    part = path.with_name(path.name + ".part")
    text = json.dumps(dict(sorted(records.items())), indent=1, ensure_ascii=False)
    part.write_text(text + "\n", encoding="utf-8")
    part.replace(path)


def missing(record: Mapping[str, Any]) -> list[str]:
    """Entries that a complete record has and this one has not."""
    return [name for name in ENTRIES if name not in record or (name not in MAY_BE_NULL and record[name] is None)]


def new_record(
    weights: Path, run: Path, recipe: Path, overrides: Mapping[str, Any], *, hardware: str, torch: str, export: str
) -> Record:
    """The record of a finished run, all but what is measured on it.

    Args:
        weights: the file that ships.
        run: the run's output folder, with its losses.csv.
        recipe, overrides: what it was trained with.
        hardware, torch: what it was trained on, and the release.
        export: the command that made `weights`.

    Raises:
        UserError: the run or the recipe cannot be read, or the set of heads is not as the renderer leaves it.
    """
    settings = _settings(recipe, overrides)
    kept = {name: value for name, value in overrides.items() if name not in PLACES}
    losses, seconds = _read_log(run / "losses.csv")
    data, asked = settings.get("data", {}), settings.get("run", {})
    init = settings.get("init")
    heads = heads_record(Path(data["folder"]), data.get("last")) if data.get("kind") == "samples" else None
    train = " ".join(["python run_pipeline.py train --config", str(recipe), *_set_arguments(kept)])
    made = [] if heads is None else [heads_command(heads)]
    return {
        "state": "unmeasured",
        "sha256": file_sha256(weights),
        "bytes": weights.stat().st_size,
        "recipe": str(recipe),
        "overrides": kept,
        "init": None if init is None else {"file": str(init), "sha256": file_sha256(Path(init))},
        "heads": heads,
        "seed": asked.get("seed", 0),
        "threads": settings.get("threads"),
        "steps": len(losses),
        "seconds": round(seconds),
        "hardware": hardware,
        "torch": torch,
        "first_losses": losses[:FIRST],
        "last_loss": round(sum(losses[-LAST:]) / len(losses[-LAST:]), 6),
        "held_out": None,
        "measured_on": None,
        "commands": [*made, train, export],
    }


def heads_record(folder: Path, last: int | None = None) -> dict[str, int]:
    """What makes a set of heads again. `count` is what there is now: a run sees what there was when it began.

    Raises:
        UserError: no such set, or samples are missing from it.
    """
    try:
        said = json.loads((folder / "heads.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{folder}/heads.json: cannot be read ({error})", "make the set again") from error
    names = sorted(path.name for path in folder.glob("*.npz"))[:last]
    if names != [f"heads_{number:06d}.npz" for number in range(len(names))]:
        raise UserError(f"{folder}: some heads are missing", "finish the set; its order decides what a run sees")
    keys = {"seed": "seed", "size": "size", "variants": "variants_every", "version": "version"}
    return {"count": len(names)} | {key: int(said[entry]) for key, entry in keys.items()}


def heads_command(heads: Mapping[str, int]) -> str:
    """The command that makes a set of heads."""
    size = "" if heads["size"] == 256 else f" --size {heads['size']}"
    return (
        f"python -m models.training.heads --out output/heads --count {heads['count']} --seed {heads['seed']}"
        f" --variants {heads['variants']}{size}"
    )


def _settings(recipe: Path, overrides: Mapping[str, Any]) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"{recipe}: cannot be read ({error})", "give the recipe that the run was made with") from error
    for dotted, value in overrides.items():
        *sections, last = dotted.split(".")
        branch = tree
        for section in sections:
            branch = branch.setdefault(section, {})
        branch[last] = value
    return dict(tree)


def _set_arguments(overrides: Mapping[str, Any]) -> list[str]:
    return [
        f"--set {name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in overrides.items()
    ]


def _read_log(path: Path) -> tuple[list[float], float]:
    """Losses of all steps, and the seconds of the run, the parts between interruptions together."""
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        losses = [float(row["loss"]) for row in rows]
        clock = [float(row["seconds"]) for row in rows]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: cannot be read ({error!r})", "give the folder of a finished run") from error
    if not losses:
        raise UserError(f"{path}: no steps in it", "give the folder of a finished run")
    total = clock[-1] + sum(before for before, after in pairwise(clock) if after < before)
    return losses, total


def put_measured(path: Path, report: Mapping[str, Any]) -> None:
    """Put a report's figures (`models.training.measure.figures.Report.to_dict`) into the record of its file.

    Raises:
        UserError: no record of that file, or of another version of it.
    """
    name, records = report["model"], read_records(path)
    if records.get(name, {}).get("sha256") != report["sha256"]:
        raise UserError(f"{path}: no record of this {name}", "export the file with --recipe first: that writes it")
    figures = {key: figure["value"] for key, figure in report["figures"].items() if figure["value"] == figure["value"]}
    measured = {"held_out": figures, "tables": report.get("tables", []), "measured_on": report["heads"]}
    put_record(path, name, records[name] | {"state": "complete"} | measured)
