"""When to give up: a loss that is no number, or one that has run away."""

from __future__ import annotations

import math
from collections import deque
from typing import Any


class DivergedError(ValueError):
    """The loss or its gradient is no longer a number, or far above what it was. The message is for the user."""


def require_finite(value: float, name: str) -> None:
    """Raise DivergedError unless `value` is a finite number."""
    if not math.isfinite(value):
        raise DivergedError(f"{name} is {value}")


START = 3
"""So many losses are taken for usual whatever they are."""


class LossWatch:
    """Compares each loss with the usual one: the lower tercile of those before it, suspicious ones left out.

    Args:
        factor: a loss above factor × the usual one is suspicious.
        patience: so many suspicious losses in a row are an explosion.
        window: losses that the tercile is taken over.
    """

    def __init__(self, factor: float, patience: int, window: int = 100) -> None:
        self._factor, self._patience = factor, patience
        self._losses: deque[float] = deque(maxlen=window)
        self.suspicious = 0
        """Suspicious losses in a row, up to now; nothing should be saved while there are any."""

    def see(self, loss: float) -> None:
        """Take note of a loss.

        Raises:
            DivergedError: it is no number, or it ends a run of `patience` suspicious ones.
        """
        require_finite(loss, "the loss")
        # Adversarial losses may be near zero or below: deviations count from the usual size, not from the usual loss.
        sizes = sorted(abs(value) for value in self._losses)
        # A median would run away with a loss that grows from the first step on.
        usual = sizes[len(sizes) // 3] if sizes else math.inf
        self.suspicious = self.suspicious + 1 if abs(loss) > self._factor * max(usual, 1e-6) else 0
        if self.suspicious >= self._patience:
            raise DivergedError(f"the loss is {loss:.4g}, for {self.suspicious} steps {self._factor:g} times the usual")
        if not self.suspicious or len(sizes) < START:
            self._losses.append(loss)

    def state(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"losses": list(self._losses), "suspicious": self.suspicious}

    def load_state(self, state: dict[str, Any]) -> None:
        """Inverse of `state`."""
        self._losses.extend(state["losses"])
        self.suspicious = state["suspicious"]
