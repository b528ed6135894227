"""w+, or the whole latent, from a picture or a latent file that is named besides the clip."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.errors import ModelError
from models.faces import Detection, FaceDetector
from models.latent import Latent
from models.styleganex import StyleGANEX
from stages.content import Rgb
from stages.errors import NoFaceError
from stages.geometry import EYE_DISTANCE, align_face, face_center, robust_eye_distance
from stages.media_probe import probe
from stages.pixels import to_network
from stages.read import Read, ReadConfig
from stages.recipe import Tools
from stages.types import CropWindow, Frame

LATENT_SUFFIXES = (".safetensors", ".pt", ".npy")


def reference_wplus(path: Path, tools: Tools) -> Tensor:
    """[1, L, style_dim] on the network's device: of the largest face in a picture, or the first in a latent file.

    Raises:
        UserError: no such file, no face in it, or a latent of another model.
    """
    device = next(tools.net.parameters()).device
    if path.suffix.lower() in LATENT_SUFFIXES:
        from models.latent_file import load_wplus

        return load_wplus(path, tools.net.config)[:1].to(device)
    if tools.net.config.input_channels != 3:
        raise ModelError(
            f"{path}: model {tools.model_name} takes no RGB, so it cannot take w+ from a picture",
            "give a latent file, or a seed",
        )
    with torch.inference_mode():
        return tools.net.encode_style(reference_face(path, tools.detector).to(device))


def reference_face(path: Path, detector: FaceDetector) -> Tensor:
    """[1, 3, 256, 256] in [−1, 1]: the style crop x2 of the largest face in a picture, or in a clip's first frame.

    Raises:
        MediaError: it cannot be read. NoFaceError: there is none.
    """
    return _aligned(*largest_face(path, detector))


def reference_latent(path: Path, net: StyleGANEX, detector: FaceDetector, window_px: int) -> Latent:
    """All of a picture's largest face: w+, and f and the skip features of a square window of `window_px` around it.

    Args:
        window_px: side at face scale (64 pixels between the eyes), a multiple of 8.

    Raises:
        UserError: no such file, no face in it, or a model that takes no RGB.
    """
    frame, face = largest_face(path, detector)
    scale = EYE_DISTANCE / robust_eye_distance(face.landmarks)
    left, top = (c + 0.5 - window_px / scale / 2 for c in face_center(face.landmarks))
    window = CropWindow(scale, left, top, window_px, window_px, full=False)
    x1 = torch.from_numpy(Rgb().from_source(frame.rgb(), window))[None]
    device = next(net.parameters()).device
    with torch.inference_mode():
        return net.invert(x1.to(device), _aligned(frame, face).to(device))


def largest_face(path: Path, detector: FaceDetector) -> tuple[Frame, Detection]:
    """A picture, or a clip's first frame, and the largest face in it.

    Raises:
        MediaError: it cannot be read. NoFaceError: there is none.
    """
    with contextlib.closing(Read(ReadConfig(end=1), probe(path)).stream()) as frames:
        frame = next(frames)
    faces = detector.detect(frame.rgb8())
    if not faces:
        raise NoFaceError(f"{path}: no face in this picture", "give a picture with a face that is plainly visible")
    return frame, max(faces, key=lambda found: float((found.box[2:] - found.box[:2]).max()))


def _aligned(frame: Frame, face: Detection) -> Tensor:
    """[1, 3, 256, 256]: the style crop x2."""
    crop = align_face(frame.rgb8(), face.landmarks)
    return torch.from_numpy(to_network(crop.astype(np.float32) / np.float32(255)))[None]
