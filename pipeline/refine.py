"""A face and a trained encoder of tokens (RefineStyle) → a file of tokens for --refine.

The file stands between the two on purpose: every frame, batch, worker and shard of a render has the same kernels.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch

from models.errors import ModelError
from models.refine import load_refine, save_refine
from models.refine_encoder import load_refine_encoder, reconstruction
from models.training.losses import psnr
from models.zoo import LoadedModel
from stages.output import disk_errors
from stages.reference import reference_face
from stages.track import TrackConfig, load_detector


class Gain(NamedTuple):
    """How close the network draws the aligned face: PSNR in dB at 256×256."""

    before: float
    after: float
    """With the tokens as they are in the file."""


def write_tokens(picture: Path, encoder: Path, model: LoadedModel, output: Path) -> Gain:
    """Write the tokens of the largest face of a picture, or of a clip's first frame.

    Args:
        encoder: file that training wrote (recipe refine, kind picture).
        model: the network that it was trained on; it has the tokens laid over its kernels afterwards.
        output: checked by `check_tensor_file`.

    Raises:
        UserError: no picture, no face in it, an encoder of another network, or a model that takes no pictures of faces.
    """
    net = model.net
    if net.config.input_channels != 3 or not net.config.has_encoder:
        raise ModelError(
            f"model {model.name}: it does not take pictures of faces, so there are no tokens for one",
            "use the model that the encoder of tokens was trained on",
        )
    device = net.generator.constant.device
    finder = load_refine_encoder(net, encoder).to(device)
    aligned = reference_face(picture, load_detector(TrackConfig())).to(device)
    with torch.inference_mode():
        drawn = reconstruction(net, aligned)
        (tokens,) = finder(aligned, drawn)
    with disk_errors(output):
        output.parent.mkdir(parents=True, exist_ok=True)
    save_refine(tokens, output, {"picture": picture.name, "model": model.name, "model_sha256": model.sha256})
    load_refine(net, output)
    with torch.inference_mode():
        refined = reconstruction(net, aligned)
    return Gain(psnr(drawn, aligned), psnr(refined, aligned))
