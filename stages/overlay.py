"""The network's pictures over each other and over the source: one walk, for numpy on the CPU and PyTorch on a GPU."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stages.layout import ColorTags, PlaneLayout
from stages.paste import Array, MatteShape, Paste, box_of, fade, head_radius, pastes_of
from stages.pixels import Box, Planes, blend_box
from stages.types import Frame, RenderedFrame

_TINY = float(np.finfo(np.float32).tiny)


class Overlay(ABC, Generic[Array]):
    """RenderedFrame with pictures → planes in the encoder's layout. Outside the mattes every sample keeps its bits.

    Args:
        size: (width, height) of the finished upright picture.
        layout, color: of the finished planes.
        feather, matte: of CompositeConfig.
        add: the pictures are changes, which are added to the source's own.
    """

    def __init__(
        self,
        size: tuple[int, int],
        layout: PlaneLayout,
        color: ColorTags,
        feather: float,
        matte: MatteShape = "window",
        add: bool = False,
    ) -> None:
        self._size, self._layout, self._color = size, layout, color
        self._feather, self._add = feather, add
        self._shape: MatteShape = matte

    @torch.inference_mode()
    def over_planes(self, item: RenderedFrame) -> Planes:
        """The pictures over each other, and over the source's planes where there is a matte."""
        frame, pastes = item.face_frame.frame, pastes_of(item, self._size, self._feather, self._shape)
        if not pastes:
            return frame.planes
        device = item.images[0].device
        if len(pastes) == 1 and pastes[0][1].full:
            return self._blended(frame, self._laid(pastes[0][1], item.images[pastes[0][0]])[0])
        box = blend_box(box_of(pastes), self._layout, frame.rotation, *self._size)
        source = self._background(frame, box, device) if self._shape == "head" else None
        rgb, alpha = self._empty(box[3] - box[1], box[2] - box[0], device)
        for k, paste in pastes:
            behind = None if source is None else self._part(source, paste.box, box[:2])
            new, matte = self._laid(paste, item.images[k], behind)
            under, covered = self._part(rgb, paste.box, box[:2]), self._part(alpha, paste.box, box[:2])
            if matte is None:
                under[...], covered[...] = new, 1
                continue
            # What lies under several mattes is the pictures' own mix, not the empty canvas.
            over = matte + covered * (1 - matte)
            self._mix(under, new, matte / over.clip(min=_TINY))
            covered[...] = over  # pyright: ignore[reportArgumentType]
        return self._blended(frame, rgb, alpha, box)

    @torch.inference_mode()
    def over_picture(self, item: RenderedFrame) -> Planes:
        """The pictures over the source's own, in another size or layout."""
        frame = item.face_frame.frame
        device = item.images[0].device if item.images else torch.device("cpu")
        rgb = self._background(frame, (0, 0, *self._size), device)
        pastes = pastes_of(item, self._size, self._feather, self._shape)
        places = [self._part(rgb, paste.box) for _, paste in pastes]
        # All before the first is mixed in: until then the places show the source.
        laid = [self._laid(paste, item.images[k], behind) for (k, paste), behind in zip(pastes, places, strict=True)]
        if self._add:
            laid = [(new + behind, matte) for (new, matte), behind in zip(laid, places, strict=True)]
        for under, (new, matte) in zip(places, laid, strict=True):
            if matte is None:
                under[...] = new  # pyright: ignore[reportArgumentType]
            else:
                self._mix(under, new, matte)
        return self._planes(rgb, frame.rotation)

    def _laid(self, paste: Paste, image: Tensor, behind: Array | None = None) -> tuple[Array, Array | None]:
        """R'G'B' of the paste's box, or what is added to it, and its matte [h, w]; None: 1 everywhere.

        Args:
            behind: the source's R'G'B' of the box, where its head alone is shown.
        """
        new = self._picture(paste, image)
        if self._add:
            new -= 0.5
        if paste.full:
            return new, None
        down, across = (self._array(edge, image.device) for edge in paste.edges())
        matte = down[:, None] * across[None, :]
        if behind is not None and (place := paste.head_place()) is not None:
            across, down = (
                self._array(rows, image.device)[:, None] + self._array(columns, image.device)[None, :]
                for rows, columns in place
            )
            radius = head_radius(across, down)
            matte = matte * fade(radius, 1, 1 - 2 * self._feather) * self._to_edges(radius, behind, paste.head_side)
        return new, matte

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
    def _to_edges(self, radius: Array, picture: Array, side: float) -> Array:
        """`stages.edge_matte.to_edges`."""

    @abstractmethod
    def _background(self, frame: Frame, box: Box, device: torch.device) -> Array:
        """The source's R'G'B' in a box of the finished picture, to be written to."""

    @abstractmethod
    def _planes(self, rgb: Array, rotation: int) -> Planes:
        """Finished planes of a whole picture."""

    @abstractmethod
    def _blended(self, frame: Frame, rgb: Array, alpha: Any = None, box: Box | None = None) -> Planes:
        """The source's planes with `rgb` over them; see `stages.pixels.blend_planes`."""
