"""Where the w+ of a face in a frame comes from: the encoder, or an analysis that was made before."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from models.styleganex import StyleGANEX
from stages.content import Content
from stages.geometry import align_quad
from stages.pixels import quantize, to_network
from stages.types import Face, FaceFrame

Codes = NDArray[np.float32]
"""w+ [L, style_dim], latent_avg included."""


def distance(a: Codes, b: Codes) -> float:
    """Root mean square of a − b, over all their numbers."""
    return float(np.sqrt(np.square(a - b).mean(dtype=np.float64)))


class CodeSource(Protocol):
    """Gives w+; a function of the frame and the face alone."""

    def wplus(self, item: FaceFrame, face: Face) -> Codes:
        """[L, style_dim] float32 of `face` in `item`."""
        ...

    def pinned(self, shot: int, track_id: int) -> Codes | None:
        """[L, style_dim]: the one that a person chose for this face and shot, or None."""
        ...


class EncoderCodes:
    """w+ of the FFHQ-aligned crop x2, one crop at a time.

    Args:
        content: what the encoder sees: the crop is cut from its version of the picture.
        eye_distance_px: face scale, as `crop` uses it.
    """

    def __init__(self, net: StyleGANEX, content: Content, eye_distance_px: float) -> None:
        self._net = net
        self._content = content
        self._eye_distance_px = eye_distance_px
        self._device = next(net.parameters()).device

    def wplus(self, item: FaceFrame, face: Face) -> Codes:
        """Cut, encode. See `CodeSource`."""
        aligned = torch.from_numpy(self.aligned(item, face))[None].to(self._device)
        with torch.inference_mode():
            return self._net.encode_style(aligned)[0].to("cpu", torch.float32).numpy()

    def pinned(self, shot: int, track_id: int) -> Codes | None:
        """None: nobody was asked."""
        return None

    def aligned(self, item: FaceFrame, face: Face) -> NDArray[np.float32]:
        """x2: [3, 256, 256] in [−1, 1]."""
        picture = self._content.style_source(item.frame.rgb(), self._eye_distance_px / face.eye_distance)
        crop = align_quad(quantize(picture), face.aligned.quad)
        return to_network(crop.astype(np.float32) / np.float32(255))
