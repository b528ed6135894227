"""What a factor of super-resolution means, to the task, to the training and to what measures it (spec §5)."""

from models.errors import UserError

MIN_FACTOR, MAX_FACTOR = 4, 48
"""Output pixels per pixel of the low-resolution picture that the published models know."""
OUTPUT_SCALE = 4
"""Output pixels per x1 pixel of every published model."""


def reduction(factor: float) -> float:
    """Pixels at face scale per pixel of the low-resolution picture, factor/4; 1 takes nothing away.

    Raises:
        UserError: a factor outside the model's range.
    """
    if not MIN_FACTOR <= factor <= MAX_FACTOR:
        raise UserError(
            f"super-resolution by a factor of {factor:g}: outside the model's range",
            f"use a factor from {MIN_FACTOR} to {MAX_FACTOR}",
        )
    return factor / OUTPUT_SCALE
