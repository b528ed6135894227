"""w+ from a picture or a latent file that a task names besides the clip."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from models.errors import ModelError
from stages.errors import NoFaceError
from stages.geometry import align_face
from stages.media_probe import probe
from stages.pixels import to_network
from stages.read import Read, ReadConfig
from stages.recipe import Tools

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
    frame = next(iter(Read(ReadConfig(), probe(path)).stream()))
    picture = frame.rgb8()
    faces = tools.detector.detect(picture)
    if not faces:
        raise NoFaceError(f"{path}: no face in this picture", "give a picture with a face that is plainly visible")
    face = max(faces, key=lambda found: float((found.box[2:] - found.box[:2]).max()))
    aligned = to_network(align_face(picture, face.landmarks).astype("float32") / 255)
    with torch.inference_mode():
        return tools.net.encode_style(torch.from_numpy(aligned)[None].to(device))
