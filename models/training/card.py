"""Tables of the model cards, written from records.json so that there is one source of what a file is.

    python -m models.training.card            # rewrite the tables in models/weights/README.md
    python -m models.training.card --check    # exit status 1 where they are out of date

Tables stand between `<!-- records: NAME -->` and `<!-- end -->`; NAME is `all` for the table of all files, or one
file's stem for all that is known about it: how it was made, what it reaches on held-out pictures, and the report's own
tables. The prose around them is written by hand. `make card MODEL=NAME` measures a file, rewrites its tables, and draws
its picture again.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from models.errors import UserError
from models.training.record import RECORDS, Record, read_records

CARD = Path("models/weights/README.md")
_BLOCK = re.compile(r"(<!-- records: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
_ALL = ("PSNR to the input", "landmark error, output to input", "SSIM above the bilateral filter's")
"""Figures that the table of all files shows, where a file has them; else its first two."""


def fill(text: str, records: Mapping[str, Record]) -> str:
    """A card's text with its tables written anew.

    Raises:
        UserError: a table of a file that has no record.
    """

    def table(found: re.Match[str]) -> str:
        name = found[2]
        if name != "all" and name not in records:
            raise UserError(f"card: table of {name}, which has no record", "export the file with --recipe first")
        body = all_table(records) if name == "all" else one_table(records[name])
        return f"{found[1]}\n{body}\n{found[3]}"

    return _BLOCK.sub(table, text)


def all_table(records: Mapping[str, Record]) -> str:
    """One row per file."""
    header = ("model", "recipe", "begun from", "heads", "steps, minutes", "first losses", "held out", "sha256")
    rows = []
    for name, record in records.items():
        init, heads = record.get("init"), record.get("heads")
        losses = ", ".join(f"{loss:.4f}" for loss in record["first_losses"][:3])
        shown = record["held_out"] or {}
        keys = [key for key in _ALL if key in shown] or list(shown)[:2]
        held_out = ", ".join(f"{key} {shown[key]:.4g}" for key in keys)
        state = " (early)" if record["state"] == "early" else ""
        count = "none" if heads is None else str(heads["count"] or "few")
        begun = "nothing" if init is None else Path(init["file"]).stem
        minutes = f"{record['steps']}, {record['seconds'] / 60:.0f}"
        sha = f"`{record['sha256'][:16]}…`"
        rows.append((name + state, record["recipe"], begun, count, minutes, losses, held_out or "not yet", sha))
    return _table(header, rows)


def one_table(record: Record) -> str:
    """Everything about one file: how it was made, figures, tables."""
    init, heads = record.get("init"), record.get("heads")
    facts = {
        "File": f"{record['bytes'] / 1e6:.1f} MB, sha256 `{record['sha256']}`",
        "Recipe": f"[{record['recipe']}](../../{record['recipe']})",
        "Begun from": "nothing" if init is None else f"`{init['file']}`, sha256 `{init['sha256'][:16]}…`",
        "Data": "photographs, see below"
        if heads is None
        else f"{heads['count']} synthetic heads of {heads['size']}×{heads['size']} pixels, seed {heads['seed']}",
        "Commands": "<br>".join(f"`{command}`" for command in record["commands"]),
        "Trained": f"{record['steps']} steps in {record['seconds'] / 60:.0f} minutes, seed {record['seed']}, "
        f"{record['threads']} thread(s) of {record['hardware']}, torch {record['torch']}",
        "First losses": ", ".join(f"{loss:.7g}" for loss in record["first_losses"]),
        "Mean of the last 50": record["last_loss"],
        "Measured on": record["measured_on"],
    }
    figures = [(name, f"{value:.4g}") for name, value in (record["held_out"] or {}).items()]
    made = _table(("", ""), [(name, str(value)) for name, value in facts.items() if value is not None])
    measured = [_table(("held out", "value"), figures)] if figures else []
    more = [f"{table['title']}\n\n{_table(table['header'], table['rows'])}" for table in record.get("tables", [])]
    return "\n".join([made, *measured, *more])


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 0 written or up to date, 1 out of date, 2 the user's mistake."""
    parser = argparse.ArgumentParser(prog="python -m models.training.card", description=__doc__)
    parser.add_argument("--card", type=Path, default=CARD)
    parser.add_argument("--records", type=Path, default=RECORDS)
    parser.add_argument("--check", action="store_true", help="only say whether the tables are up to date")
    asked = parser.parse_args(arguments)
    try:
        before = asked.card.read_text(encoding="utf-8")
        after = fill(before, read_records(asked.records))
    except UserError as error:
        print(f"error: {error.what}\nhint: {error.remedy}", file=sys.stderr)
        return 2
    if asked.check:
        return int(after != before)
    if after != before:
        part = asked.card.with_name(asked.card.name + ".part")
        part.write_text(after, encoding="utf-8")
        part.replace(asked.card)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
