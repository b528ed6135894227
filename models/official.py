"""Foreign names, translated both ways: published StyleGANEX and pSp files, and StyleGAN2 g_ema files (spec §1)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from itertools import groupby
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
_TASKS = {
    # part of opts.dataset_type → task; frontalization before encode, for pSp's names
    "toonify": "toonify",
    "edit": "edit",
    "super_resolution": "super_resolution",
    "sketch_to_face": "sketch_to_face",
    "seg_to_face": "mask_to_face",
    "frontalize": "frontalization",
    "encode": "inversion",
}
GRADUAL = "GradualStyleEncoder"
"""The published name of the encoder that this project has."""
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
    """Architecture of a published StyleGANEX or pSp file: what `opts` says (spec §1 has the defaults of what it leaves
    out), which parts the file holds, and how wide they are.

    Raises:
        CheckpointError: opts that no network can have, or that contradict the weights.
        ModelError: sizes that no network can have.
    """
    encoder = opts.get("encoder_type") or GRADUAL
    if encoder != GRADUAL:
        raise CheckpointError(f"opts.encoder_type is {encoder!r}: another network", f"only {GRADUAL} can be read")
    channels, resolution = _number(opts, "input_nc", 3), _number(opts, "output_size", 1024)
    num_skips = min(7, max(1, _number(opts, "skip_max_layer", 7))) if opts.get("use_skip") else 0
    widths = _generator_widths(state) | _encoder_widths(state)
    if (table := widths.get("generator_channels")) and 2 << len(table) != resolution:
        raise CheckpointError(
            f"opts.output_size is {resolution}, the decoder's weights are for {2 << len(table)}",
            "the file is damaged or foreign",
        )
    return ModelConfig(
        resolution=resolution,
        input_channels=channels,
        direct_input=channels != 3 and not any(key.startswith("encoder.input_label_layer.") for key in state),
        res_blocks=_number(opts, "res_num", 2),
        max_pooling=bool(opts.get("max_pooling")),
        learn_in_w=bool(opts.get("learn_in_w")),
        start_from_latent_avg=bool(_given(opts, "start_from_latent_avg", True)),
        has_feature="encoder.featlayer.weight" in state,
        feature_index=_number(opts, "feat_ind", 0),
        num_skips=num_skips,
        skip_to_rgb=bool(opts.get("use_skip_torgb")),
        attention=_number(opts, "use_att", 0),
        **widths,
    )


def config_from_generator(state: Mapping[str, Tensor]) -> ModelConfig:
    """Architecture of a StyleGAN2 generator, read off its weights (keys `decoder.*`).

    Raises:
        CheckpointError: not such a generator.
    """
    widths = _generator_widths(state)
    if missing := {"style_dim", "mapping_layers", "generator_channels"} - set(widths):
        raise CheckpointError(
            f"StyleGAN2 generator: nothing in it tells {', '.join(sorted(missing))}", "the file is damaged or foreign"
        )
    resolution = 2 << len(widths["generator_channels"])
    return ModelConfig(resolution=resolution, has_encoder=False, has_feature=False, num_skips=0, **widths)


def task_from_opts(opts: Mapping[str, Any]) -> str:
    """The task that a published file was trained for, by the data set that its options name; "" where none tells."""
    name = str(opts.get("dataset_type") or "")
    return next((task for word, task in _TASKS.items() if word in name), "")


def _given(opts: Mapping[str, Any], name: str, default: Any) -> Any:
    value = opts.get(name)
    return default if value is None else value


def _number(opts: Mapping[str, Any], name: str, default: int) -> int:
    value = _given(opts, name, default)
    if not isinstance(value, int):
        raise CheckpointError(f"opts.{name} is {value!r}, not a whole number", "the file is damaged or foreign")
    return int(value)


def _generator_widths(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Fields of ModelConfig that the decoder's weights tell; what they do not tell is left out."""
    found: dict[str, Any] = {}
    if style_dim := _size(state, ("decoder.conv1.conv.modulation.weight", 1), ("decoder.style.1.weight", 0)):
        found["style_dim"] = style_dim
    if layers := sum(bool(re.match(r"decoder\.style\.\d+\.weight$", key)) for key in state):
        found["mapping_layers"] = layers
    pairs = [("decoder.to_rgb1", "decoder.conv1")]
    pairs += [(f"decoder.to_rgbs.{i}", f"decoder.convs.{2 * i + 1}") for i in _numbers(state, "decoder.to_rgbs")]
    widths = [
        _size(state, (f"{rgb}.conv.weight", 2), (f"{conv}.activate.bias", 0), (f"{conv}.conv.weight", 1))
        for rgb, conv in pairs
    ]
    if len(widths) > 1 and all(widths):
        found["generator_channels"] = tuple(widths)
    return found


def _encoder_widths(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The same for the encoder. The groups of the body are told apart by their widths."""
    found: dict[str, Any] = {}
    units = [f"encoder.body.{i}.res_layer" for i in _numbers(state, "encoder.body")]
    widths = [_size(state, *((f"{unit}.{part}.weight", 0) for part in (1, 2, 3))) for unit in units]
    groups = [(width, len(list(same))) for width, same in groupby(widths)]
    if len(groups) == 4 and all(widths):
        found["body_widths"], found["body_units"] = zip(*groups, strict=True)
    if head := _size(state, ("encoder.styles.0.convs.0.weight", 0), ("encoder.styles.0.convs.2.weight", 0)):
        found["head_channels"] = head
    if width := _size(state, *((f"encoder.input_label_layer.model.{part}.weight", 0) for part in (0, 2))):
        found["translation_channels"] = width
    return found


def _numbers(state: Mapping[str, Tensor], prefix: str) -> list[int]:
    """0, 1, … as in the keys `prefix.0.…`, `prefix.1.…`."""
    start = re.compile(re.escape(prefix) + r"\.(\d+)\.")
    return sorted({int(match[1]) for key in state if (match := start.match(key))})


def _size(state: Mapping[str, Tensor], *places: tuple[str, int]) -> int:
    """The size that most of some tensors (key, axis) agree on, so that one damaged tensor is named as such; 0: none."""
    sizes = [state[key].shape[axis] for key, axis in places if key in state and axis < state[key].ndim]
    return Counter(sizes).most_common(1)[0][0] if sizes else 0
