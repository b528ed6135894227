"""What editing directions do: to the attribute they are named after, to the others, and to the rest of the picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.styleganex import StyleGANEX
from models.training.measure.drawing import draw
from models.training.measure.held_out import Head, Picture
from models.training.measure.landmarks import LandmarkReader, Points, eye_opening, mouth_curve
from models.training.measure.readers import AttributeReader, hair_lightness

Floats = NDArray[np.float64]
STRENGTHS = (-2.0, -1.0, 0.0, 1.0, 2.0)
READ_AS = {"age": "age", "smile": "smile", "hair": "hair L", "eye_size": "eye_size"}
"""Direction → the reading that it should move."""
UNITS = {
    "age": "years",
    "smile": "0–1",
    "eye_size": "−1–1",
    "hair L": "L*",
    "mouth curve": "% eye distance",
    "eye opening": "% eye distance",
    "background": "code values",
}
BACKGROUND = 0
"""Label of what is not the person."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """One direction over STRENGTHS."""

    direction: str
    readings: dict[str, Floats]
    """[heads, strengths] by the names of UNITS; NaN where it cannot be read."""

    def means(self, reading: str) -> list[float]:
        """Mean over the heads, per strength."""
        rows = self.readings[reading]
        return [float(v) for v in rows[~np.isnan(rows).any(axis=1)].mean(axis=0)]

    def monotone(self) -> bool:
        """Whether its own reading rises with every step, and from end to end by more than two standard errors."""
        rows = self.readings[READ_AS.get(self.direction, self.direction)]
        rows = rows[~np.isnan(rows).any(axis=1)]
        if len(rows) < 2:
            return False
        span = rows[:, -1] - rows[:, 0]
        error = float(span.std(ddof=1) / np.sqrt(len(span)))
        return bool((np.diff(rows.mean(axis=0)) > 0).all() and span.mean() > 2 * error)

    def share_rising(self) -> float:
        """Share of heads whose own reading rises from the lowest strength to the highest."""
        rows = self.readings[READ_AS.get(self.direction, self.direction)]
        rows = rows[~np.isnan(rows).any(axis=1)]
        return float((rows[:, -1] > rows[:, 0]).mean()) if len(rows) else 0.0


@dataclass(frozen=True, slots=True)
class Likeness:
    """An edit against the renderer's own, at the strength between the two scenes."""

    share: float
    """How much of the true change was made: the least-squares factor of it in the change that was made."""
    cosine: float
    """1: the change points exactly where it should."""
    heads: int


class EditMeter:
    """Reads pictures of held-out heads.

    Args:
        reader: fitted on other heads.
        heads: with their parsing.
    """

    def __init__(self, reader: AttributeReader, heads: Sequence[Head]) -> None:
        self._reader, self._heads, self._landmarks = reader, heads, LandmarkReader()

    def readings(
        self, pictures: Sequence[Picture], plain: Sequence[Picture], heads: Sequence[Head]
    ) -> dict[str, Floats]:
        """[heads] by the names of UNITS.

        Args:
            plain: the same heads without the edit, for how much the background changed.
        """
        values = self._reader.read(pictures, [head.face() for head in heads])
        marks = self._landmarks.all(pictures, heads)
        return values | {
            "hair L": hair_lightness(pictures, heads),
            "mouth curve": _measured(marks, mouth_curve),
            "eye opening": _measured(marks, eye_opening),
            "background": np.array([_change(*row) for row in zip(pictures, plain, heads, strict=True)]),
        }

    def sweep(self, net: StyleGANEX, names: Sequence[str], direction: str, plain: Sequence[Picture]) -> Sweep:
        """One direction of `names` over STRENGTHS; `plain` is what the network draws at strength 0."""
        place, columns = list(names).index(direction), []
        for strength in STRENGTHS:
            drawn = plain if strength == 0 else draw(net, self._heads, place, strength)
            columns.append(self.readings(drawn, plain, self._heads))
        return Sweep(direction, {name: np.stack([column[name] for column in columns], axis=1) for name in UNITS})

    def true_change(self, edit: str) -> tuple[dict[str, float], int]:
        """What the instruments read of the renderer's own edit: mean change per reading, and of how many heads.

        Edits that go down (younger, no smile) count the other way round.
        """
        heads = [head for head in self._heads if edit in head.attributes]
        if not heads:
            return {}, 0
        plain, edited = [head.image for head in heads], [head.arrays[f"variant_{edit}"] for head in heads]
        before, after = self.readings(plain, plain, heads), self.readings(edited, plain, heads)
        sign = np.sign([change_of(head, edit) for head in heads])
        change = {
            name: float(np.nanmean((after[name] - before[name]) * sign)) for name in UNITS if name != "background"
        }
        return change | {"background": float(np.mean(after["background"]))}, len(heads)

    def likeness(
        self, net: StyleGANEX, names: Sequence[str], edit: str, strengths: Sequence[float], plain: Sequence[Picture]
    ) -> Likeness | None:
        """The network's edit against the renderer's; None where no head has it.

        Args:
            strengths: of each head, from its image to its variant; ignored where it has none.
        """
        place = list(names).index(edit)
        dot = made_size = true_size = 0.0
        count = 0
        for head, strength, before in zip(self._heads, strengths, plain, strict=True):
            if edit not in head.attributes:
                continue
            after = draw(net, [head], place, strength)[0]
            made = after.astype(np.float64) - before
            true = head.arrays[f"variant_{edit}"].astype(np.float64) - head.image
            dot, made_size, true_size = (
                dot + (made * true).sum(),
                made_size + (made**2).sum(),
                true_size + (true**2).sum(),
            )
            count += 1
        if not count or not true_size:
            return None
        return Likeness(dot / true_size, dot / max(np.sqrt(made_size * true_size), 1e-12), count)


def change_of(head: Head, edit: str) -> float:
    """How far a head's variant is from it, in the unit of the edit's attribute; of hair the mean of three colours."""
    names = [f"hair_{colour}" for colour in "rgb"] if edit == "hair" else [edit]
    return float(np.mean([head.attributes[edit][name] - head.attributes[""][name] for name in names]))


def _measured(marks: Sequence[Points | None], measure: Callable[[Points], float]) -> Floats:
    return np.array([np.nan if points is None else measure(points) for points in marks])


def _change(picture: Picture, plain: Picture, head: Head) -> float:
    """Mean absolute change of the background."""
    behind = head.arrays["parsing"] == BACKGROUND
    return float(np.abs(picture.astype(np.float64) - plain)[behind].mean()) if behind.any() else 0.0
