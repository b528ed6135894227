"""The network's pictures over each other and over the source: one walk, for numpy on the CPU and PyTorch on a GPU."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stages.layout import ColorTags, PlaneLayout
from stages.paste import Array, MatteShape, Paste, box_of, head_matte, pastes_of
from stages.pixels import Box, Planes, blend_box
from stages.types import Frame, RenderedFrame

_TINY = float(np.finfo(np.float32).tiny)


class Overlay(ABC, Generic[Array]):
    """RenderedFrame with pictures → planes in the encoder's layout. Outside the mattes every sample keeps its bits.

    Args:
        size: (width, height) of the finished upright picture.
        layout, color: of the finished planes.
        feather, matte: of CompositeConfig.
    """

    def __init__(
        self, size: tuple[int, int], layout: PlaneLayout, color: ColorTags, feather: float, matte: MatteShape = "window"
    ) -> None:
        self._size, self._layout, self._color = size, layout, color
        self._feather = feather
        self._shape: MatteShape = matte

    @torch.inference_mode()
    def over_planes(self, item: RenderedFrame) -> Planes:
        """The pictures over each other, and over the source's planes where there is a matte."""
        frame, pastes = item.face_frame.frame, pastes_of(item, self._size, self._feather, self._shape)
        if not pastes:
            return frame.planes
        if len(pastes) == 1 and pastes[0][1].full:
            return self._blended(frame, self._picture(pastes[0][1], item.images[pastes[0][0]]))
        box = blend_box(box_of(pastes), self._layout, frame.rotation, *self._size)
        rgb, alpha = self._empty(box[3] - box[1], box[2] - box[0], item.images[0].device)
        for k, paste in pastes:
            new = self._picture(paste, item.images[k])
            under, covered = self._part(rgb, paste.box, box[:2]), self._part(alpha, paste.box, box[:2])
            if paste.full:
                under[...], covered[...] = new, 1
                continue
            # What lies under several mattes is the pictures' own mix, not the empty canvas.
            matte = self._matte(paste, item.images[k].device)
            over = matte + covered * (1 - matte)
            self._mix(under, new, matte / over.clip(min=_TINY))
            covered[...] = over  # pyright: ignore[reportArgumentType]
        return self._blended(frame, rgb, alpha, box)

    @torch.inference_mode()
    def over_picture(self, item: RenderedFrame) -> Planes:
        """The pictures over the source's own, in another size or layout."""
        frame = item.face_frame.frame
        device = item.images[0].device if item.images else torch.device("cpu")
        rgb = self._background(frame, device)
        for k, paste in pastes_of(item, self._size, self._feather, self._shape):
            part, new = self._part(rgb, paste.box), self._picture(paste, item.images[k])
            if paste.full:
                part[...] = new
            else:
                self._mix(part, new, self._matte(paste, device))
        return self._planes(rgb, frame.rotation)

    def _matte(self, paste: Paste, device: torch.device) -> Array:
        """[h, w] of the paste's box."""
        down, across = (self._array(edge, device) for edge in paste.edges())
        matte = down[:, None] * across[None, :]
        if (place := paste.head_place()) is None:
            return matte
        across, down = (
            self._array(rows, device)[:, None] + self._array(columns, device)[None, :] for rows, columns in place
        )
        return matte * head_matte(across, down, self._feather)

    @abstractmethod
    def _array(self, values: NDArray[np.float32], device: torch.device) -> Array:
        """Where the pictures are."""

    @abstractmethod
    def _empty(self, height: int, width: int, device: torch.device) -> tuple[Array, Array]:
        """A picture of zeros, and a matte [height, width] of zeros."""

    @abstractmethod
    def _part(self, canvas: Array, box: Box, origin: tuple[int, int] = (0, 0)) -> Array:
        """View of the pixels under `box`, of a picture or matte whose first pixel lies at `origin` (x, y)."""

    @abstractmethod
    def _picture(self, paste: Paste, image: Tensor) -> Array:
        """R'G'B' of the paste's box, of an image in [−1, 1]."""

    @abstractmethod
    def _mix(self, under: Array, over: Array, share: Array) -> None:
        """Write under + (over − under) · share into `under`; `share` is [h, w]."""

    @abstractmethod
    def _background(self, frame: Frame, device: torch.device) -> Array:
        """The source's R'G'B' at the finished size, to be written to."""

    @abstractmethod
    def _planes(self, rgb: Array, rotation: int) -> Planes:
        """Finished planes of a whole picture."""

    @abstractmethod
    def _blended(self, frame: Frame, rgb: Array, alpha: Any = None, box: Box | None = None) -> Planes:
        """The source's planes with `rgb` over them; see `stages.pixels.blend_planes`."""
