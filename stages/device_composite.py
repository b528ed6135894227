"""composite where the network's pictures lie on a GPU: put back there; only finished code values come down.

The same steps as stages/composite.py. Why at all: a GPU draws a hundred frames of a megapixel while a core resamples,
blends and rounds thirty.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stages.device_pixels import axis, planes_to_rgb, resample, rgb_to_planes, to_device
from stages.layout import ColorTags, PlaneLayout
from stages.paste import Paste, box_of, pastes_of
from stages.pixels import Box, Planes, blend_box
from stages.types import Frame, RenderedFrame


class DeviceComposite:
    """RenderedFrame with pictures → planes in the encoder's layout.

    Args:
        size: (width, height) of the finished upright picture.
        layout, color: of the finished planes.
        feather: CompositeConfig.feather.
    """

    def __init__(self, size: tuple[int, int], layout: PlaneLayout, color: ColorTags, feather: float) -> None:
        self._size, self._layout, self._color, self._feather = size, layout, color, feather

    @torch.inference_mode()
    def over_planes(self, item: RenderedFrame) -> Planes:
        """The windows over each other, and over the source's planes where there is a matte."""
        frame, pastes = item.face_frame.frame, pastes_of(item, self._size, self._feather)
        if not pastes:
            return frame.planes
        laid = self._layout, self._color, frame.rotation
        if len(pastes) == 1 and pastes[0][1].full:
            return rgb_to_planes(_picture(pastes[0][1], item.images[pastes[0][0]]), *laid, source=frame.planes)
        box = blend_box(box_of(pastes), self._layout, frame.rotation, *self._size)
        rgb = item.images[0].new_zeros(3, box[3] - box[1], box[2] - box[0])
        alpha = torch.zeros_like(rgb[0])
        for k, paste in pastes:
            new = _picture(paste, item.images[k])
            under, covered = (_part(canvas, paste.box, box[:2]) for canvas in (rgb, alpha))
            if paste.full:
                under.copy_(new)
                covered.fill_(1)
                continue
            # What lies under several mattes is the pictures' own mix, not the empty canvas.
            matte = _matte(paste, new.device)
            over = matte + covered * (1 - matte)
            under.lerp_(new, torch.where(over > 0, matte / over, 0))
            covered.copy_(over)
        return rgb_to_planes(rgb, *laid, source=frame.planes, alpha=alpha, box=box)

    @torch.inference_mode()
    def over_picture(self, item: RenderedFrame) -> Planes:
        """The windows over the source's picture in another size or layout."""
        frame = item.face_frame.frame
        rgb = self._background(frame, item.images[0].device)
        for k, paste in pastes_of(item, self._size, self._feather):
            part, new = _part(rgb, paste.box), _picture(paste, item.images[k])
            part.copy_(new if paste.full else torch.lerp(part, new, _matte(paste, new.device)))
        return rgb_to_planes(rgb, self._layout, self._color, frame.rotation)

    def _background(self, frame: Frame, device: torch.device) -> Tensor:
        rgb = planes_to_rgb(frame.planes, frame.layout, frame.color, frame.rotation, device)
        height, width = rgb.shape[1:]
        columns, rows = self._size
        if (width, height) == self._size:
            return rgb.contiguous()
        return resample(
            rgb,
            axis(device, height, rows, rows / height, 0.0),
            axis(device, width, columns, columns / width, 0.0),
        )


def _picture(paste: Paste, image: Tensor) -> Tensor:
    """R'G'B' [3, h, w] of the paste's box, of an image in [−1, 1]."""
    rows, columns = (axis(image.device, *span) for span in paste.spans())
    return resample(image.float() * 0.5 + 0.5, rows, columns)


def _matte(paste: Paste, device: torch.device) -> Tensor:
    down, across = (to_device(torch.from_numpy(edge), device) for edge in paste.edges())
    return down[:, None] * across[None, :]


def _part(canvas: Tensor, box: Box, origin: tuple[int, int] = (0, 0)) -> Tensor:
    """View of the pixels under `box`, of a canvas [..., H, W] whose first pixel lies at `origin` (x, y)."""
    x, y = origin
    return canvas[..., box[1] - y : box[3] - y, box[0] - x : box[2] - x]
