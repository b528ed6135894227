"""Foreign names, translated both ways: published StyleGANEX and pSp files, and StyleGAN2 g_ema files (spec §1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from models.config import ModelConfig
from models.errors import CheckpointError
from models.ops import BINOMIAL, FIR, separable_kernel

_RENAMES = (
    # theirs, ours: fragments, replaced in this order (backwards for the way back)
    ("decoder.", "generator."),
    ("generator.style.", "generator.mapping."),
    ("generator.input.input", "generator.constant"),
    (".noise.weight", ".noise_weight"),
    (".activate.bias", ".activation_bias"),
    ("encoder.fusion.", "fusion."),
    ("encoder.input_label_layer.model.", "encoder.translation."),
    ("encoder.latlayer1.", "encoder.lateral_c2."),
    ("encoder.latlayer2.", "encoder.lateral_c1."),
    ("encoder.featlayer.", "encoder.feature_layer."),
    ("encoder.skiplayer.", "encoder.feature_rgb_layer."),
)
_CONSTANT = re.compile(r"\.(blur\.kernel|upsample\.kernel|blur_weight)$")
_MODULATED = re.compile(r"^decoder\..*\.conv\.weight$")


def to_ours(state: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """Published state dict → ours. Constants that we build ourselves and parts that no one uses are left out."""
    ours: dict[str, Tensor] = {}
    for key, value in state.items():
        unused = config.translation and key.startswith("encoder.input_layer.")
        if unused or _CONSTANT.search(key):
            continue
        if _MODULATED.match(key) and value.ndim == 5 and value.shape[0] == 1:
            value = value[0]
        for theirs, name in _RENAMES:
            key = key.replace(theirs, name, 1)
        ours[key] = value
    return ours


def official_key(key: str) -> str:
    """Our name of a tensor → the published one."""
    for theirs, ours in reversed(_RENAMES):
        key = key.replace(ours, theirs, 1)
    return key


def to_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our state dict → the published keys and shapes, constants included; latent_avg and editing_w left out."""
    official: dict[str, Tensor] = {}
    for key, value in state.items():
        if key in ("latent_avg", "editing_w"):
            continue
        key = official_key(key)
        official[key] = value[None] if _MODULATED.match(key) and value.ndim == 4 else value
    return official | _constants(official)


def _constants(official: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The fixed kernels that published files hold, used (r ≥ 64: FIR; r ≤ 32: blur_weight) or not."""
    fir, binomial = separable_kernel(FIR, gain=4.0)[0, 0], separable_kernel(BINOMIAL)
    constants: dict[str, Tensor] = {}
    for key in official:
        if match := re.match(r"^(decoder\.convs\.(\d+)\.conv\.)weight$", key):
            prefix, index = match[1], int(match[2])
            if index % 2 == 0:
                constants[prefix + "blur.kernel"] = fir
                if index < 6:
                    constants[prefix + "blur_weight"] = binomial
        elif match := re.match(r"^(decoder\.to_rgbs\.(\d+)\.)bias$", key):
            constants[match[1] + "upsample.kernel"] = fir
            if int(match[2]) < 3:
                constants[match[1] + "blur_weight"] = binomial
    return constants


def config_from_opts(opts: Mapping[str, Any], state: Mapping[str, Tensor]) -> ModelConfig:
    """Architecture of a published StyleGANEX or pSp file: what `opts` says, and which parts the file holds at all.

    Raises:
        CheckpointError: opts that no network can have.
    """
    resolution = _number(opts, "output_size", 1024)
    channels = _number(opts, "input_nc", 3)
    num_skips = min(7, max(1, _number(opts, "skip_max_layer", 7))) if opts.get("use_skip") else 0
    return ModelConfig(
        resolution=resolution,
        input_channels=channels,
        direct_input=channels != 3 and not any(key.startswith("encoder.input_label_layer.") for key in state),
        res_blocks=_number(opts, "res_num", 2),
        max_pooling=bool(opts.get("max_pooling")),
        learn_in_w=bool(opts.get("learn_in_w")),
        start_from_latent_avg=bool(opts.get("start_from_latent_avg", True)),
        has_feature="encoder.featlayer.weight" in state,
        feature_index=_number(opts, "feat_ind", 0),
        num_skips=num_skips,
        skip_to_rgb=bool(opts.get("use_skip_torgb")),
        attention=_number(opts, "use_att", 0),
    )


def _number(opts: Mapping[str, Any], name: str, default: int) -> int:
    value = opts.get(name, default)
    value = default if value is None else value
    if not isinstance(value, int):
        raise CheckpointError(f"opts.{name} is {value!r}, not a whole number", "the file is damaged or foreign")
    return int(value)


def config_from_generator(state: Mapping[str, Tensor]) -> ModelConfig:
    """Architecture of a StyleGAN2 generator, read off its weights (keys `decoder.*`).

    Raises:
        CheckpointError: not such a generator.
    """
    try:
        layers = sorted(int(m[1]) for key in state if (m := re.match(r"decoder\.to_rgbs\.(\d+)\.bias$", key)))
        widths = [state["decoder.to_rgb1.conv.weight"].shape[2]]
        widths += [state[f"decoder.to_rgbs.{i}.conv.weight"].shape[2] for i in layers]
        style_dim = state["decoder.conv1.conv.modulation.weight"].shape[1]
    except (KeyError, IndexError) as error:
        raise CheckpointError(f"StyleGAN2 generator: {error} is missing", "the file is damaged or foreign") from error
    return ModelConfig(
        resolution=4 << len(layers),
        style_dim=style_dim,
        mapping_layers=sum(bool(re.match(r"decoder\.style\.\d+\.weight$", key)) for key in state),
        generator_channels=tuple(widths),
        has_encoder=False,
        has_feature=False,
        num_skips=0,
    )
