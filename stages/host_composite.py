"""composite in numpy, where the network's pictures lie in main memory."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from stages.edge_matte import to_edges
from stages.overlay import Overlay
from stages.paste import Paste
from stages.pixels import Box, Planes, blend_planes, from_network, rgb_to_planes
from stages.resample import Resampler, axis_operator
from stages.types import Frame

Picture = NDArray[np.float32]
"""[H, W, 3] R'G'B', or a matte [H, W]."""


class HostComposite(Overlay[Picture]):
    """See `Overlay`."""

    def _array(self, values: Picture, device: torch.device) -> Picture:
        return values

    def _empty(self, height: int, width: int, device: torch.device) -> tuple[Picture, Picture]:
        return np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.float32)

    def _part(self, canvas: Picture, box: Box, origin: tuple[int, int] = (0, 0)) -> Picture:
        x, y = origin
        return canvas[box[1] - y : box[3] - y, box[0] - x : box[2] - x]

    def _picture(self, paste: Paste, image: Tensor) -> Picture:
        rows, columns = paste.spans()
        return Resampler(_operator(*rows), _operator(*columns))(from_network(image))

    def _mix(self, under: Picture, over: Picture, share: Picture) -> None:
        under += (over - under) * share[..., None]

    def _to_edges(self, radius: Picture, picture: Picture, side: float) -> Picture:
        there = torch.from_numpy(picture).permute(2, 0, 1)
        return to_edges(torch.from_numpy(radius), there, side).numpy()

    def _background(self, frame: Frame, box: Box, device: torch.device) -> Picture:
        if frame.clip.upright_size == self._size:
            return frame.rgb(box)
        rgb = frame.rgb()
        (height, width), (columns, rows) = rgb.shape[:2], self._size
        left, top, right, bottom = box
        return Resampler(
            rows=axis_operator(height, bottom - top, rows / height, 0.0, first=top),
            cols=axis_operator(width, right - left, columns / width, 0.0, first=left),
        )(rgb)

    def _planes(self, rgb: Picture, rotation: int) -> Planes:
        return rgb_to_planes(rgb, self._layout, self._color, rotation)

    def _blended(self, frame: Frame, rgb: Picture, alpha: Picture | None = None, box: Box | None = None) -> Planes:
        return blend_planes(frame.planes, rgb, alpha, self._layout, self._color, frame.rotation, box, self._add)


def _operator(in_size: int, out_size: int, scale: float, offset: float, first: int) -> csr_array:
    return axis_operator(in_size, out_size, scale, offset, first=first)
