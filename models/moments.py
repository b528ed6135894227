"""Mean and variance per channel of a map that is seen in parts."""

from __future__ import annotations

import torch
from torch import Tensor


class Moments:
    """Of [1, C, H, W], part by part; parts of any size, each place once.

    Merged by Chan, Golub & LeVeque (1979), so that no large sums cancel: float32 is enough.
    """

    def __init__(self) -> None:
        self.count = 0
        self._mean, self._squares = torch.zeros(()), torch.zeros(())

    def add(self, part: Tensor) -> None:
        """One more part, [1, C, h, w]."""
        count = part.shape[2] * part.shape[3]
        variance, mean = torch.var_mean(part.float(), dim=(2, 3), correction=0, keepdim=True)
        total = self.count + count
        if not self.count:
            self._mean, self._squares = mean, variance * count
        else:
            difference = mean - self._mean
            self._mean = self._mean + difference * (count / total)
            self._squares = self._squares + variance * count + difference.square() * (self.count * count / total)
        self.count = total

    @property
    def mean(self) -> Tensor:
        """[1, C, 1, 1]."""
        return self._mean

    @property
    def variance(self) -> Tensor:
        """[1, C, 1, 1], of the population: divided by the number of places."""
        return self._squares / self.count

    def normalize(self, x: Tensor, eps: float) -> Tensor:
        """Instance norm of a part x by the whole's moments: (x − mean) / √(variance + eps)."""
        return ((x - self.mean) * torch.rsqrt(self.variance + eps)).to(x.dtype)
