"""composite where the network's pictures lie on a GPU: put back there; only finished code values come down.

Why at all: a GPU draws a hundred frames of a megapixel while a core resamples, blends and rounds thirty.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stages.device_pixels import axis, planes_to_rgb, resample, rgb_to_planes, to_device
from stages.edge_matte import to_edges
from stages.overlay import Overlay
from stages.paste import Paste
from stages.pixels import Box, Planes
from stages.types import Frame


class DeviceComposite(Overlay[Tensor]):
    """See `Overlay`; pictures are [3, H, W], mattes [H, W]."""

    def _array(self, values: NDArray[np.float32], device: torch.device) -> Tensor:
        return to_device(torch.from_numpy(values), device)

    def _empty(self, height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
        return torch.zeros(3, height, width, device=device), torch.zeros(height, width, device=device)

    def _part(self, canvas: Tensor, box: Box, origin: tuple[int, int] = (0, 0)) -> Tensor:
        x, y = origin
        return canvas[..., box[1] - y : box[3] - y, box[0] - x : box[2] - x]

    def _picture(self, paste: Paste, image: Tensor) -> Tensor:
        rows, columns = (axis(image.device, *span) for span in paste.spans())
        return resample(image.float() * 0.5 + 0.5, rows, columns)

    def _mix(self, under: Tensor, over: Tensor, share: Tensor) -> None:
        under.lerp_(over, share)

    def _to_edges(self, radius: Tensor, picture: Tensor, side: float) -> Tensor:
        return to_edges(radius, picture, side)

    def _background(self, frame: Frame, box: Box, device: torch.device) -> Tensor:
        rgb = planes_to_rgb(frame.planes, frame.layout, frame.color, frame.rotation, device)
        (height, width), (columns, rows) = rgb.shape[1:], self._size
        left, top, right, bottom = box
        if (width, height) == self._size:
            return rgb[:, top:bottom, left:right].contiguous()
        return resample(
            rgb,
            axis(device, height, bottom - top, rows / height, 0.0, top),
            axis(device, width, right - left, columns / width, 0.0, left),
        )

    def _planes(self, rgb: Tensor, rotation: int) -> Planes:
        return rgb_to_planes(rgb, self._layout, self._color, rotation)

    def _blended(self, frame: Frame, rgb: Tensor, alpha: Tensor | None = None, box: Box | None = None) -> Planes:
        return rgb_to_planes(rgb, self._layout, self._color, frame.rotation, frame.planes, alpha, box, self._add)
