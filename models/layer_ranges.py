"""Which style inputs of w+ are meant by "4-7", "0,2,8-17", "coarse", "middle", "fine" or "all"."""

from __future__ import annotations

from models.errors import ModelError

_GROUPS = {"coarse": (0, 4), "middle": (4, 8), "fine": (8, None), "all": (0, None)}
"""StyleGAN §3.1: native sizes 4² to 8², 16² to 32², and the rest; as everyone counts them in w+."""


def parse_layers(text: str, num_styles: int) -> tuple[int, ...]:
    """Numbers of style inputs, ascending and without repetition.

    Args:
        text: numbers and ranges (both ends included) or names of groups, separated by commas.
        num_styles: L of the model.

    Raises:
        ModelError: not of that form, or a layer that the model does not have.
    """
    found: set[int] = set()
    for part in text.split(","):
        word = part.strip()
        if word in _GROUPS:
            start, stop = _GROUPS[word]
            found.update(range(num_styles)[start:stop])
            continue
        first, dash, last = (piece.strip() for piece in word.partition("-"))
        if not (first.isdecimal() and (not dash or last.isdecimal())):
            groups = ", ".join(_GROUPS)
            raise ModelError(f"layers {text!r}: {word!r} is not a layer", f"write them as 0,2,8-13, or one of {groups}")
        low, high = int(first), int(last if dash else first)
        if not low <= high < num_styles:
            raise ModelError(
                f"layers {text!r}: {word} reaches outside this model", f"choose from 0 to {num_styles - 1}"
            )
        found.update(range(low, high + 1))
    return tuple(sorted(found))
