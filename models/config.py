"""ModelConfig: the numbers that tell one StyleGANEX network from another. Sizes are data; the classes are the same.

What is fixed by the design (StyleGANEX §3): generator sizes 4 … 32 all work at H/8 × W/8, so the output has
H·resolution/256 × W·resolution/256 pixels for an H × W input, and the aligned crop x2 has 256 × 256 pixels.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields

from models.errors import ModelError

ALIGNED_SIZE = 256
"""Height and width of the aligned style crop x2, in pixels, at every size of network."""

_PUBLISHED_CHANNELS = (512, 512, 512, 512, 512, 256, 128, 64, 32)
"""Generator channels at sizes 4, 8, …, 1024 (StyleGAN2, channel multiplier 2)."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Architecture of one network. The defaults are the published 1024 model (toonify).

    Raises:
        ModelError: a number that no network can have; the message names the field.
    """

    resolution: int = 1024
    """Native output size of the generator in pixels, a power of two ≥ 64."""
    style_dim: int = 512
    """Width of z and w."""
    mapping_layers: int = 8
    """Linear layers of the mapping network z → w."""
    generator_channels: tuple[int, ...] = ()
    """Feature channels at sizes 4, 8, …, `resolution`; () means the published table."""

    has_encoder: bool = True
    """False: a plain StyleGAN2 generator."""
    input_channels: int = 3
    """Channels of x1: 3 RGB, 1 sketch, 19 one-hot mask."""
    direct_input: bool = False
    """True: inputs that are not RGB go straight to the input layer (pSp) instead of the translation network."""
    translation_channels: int = 16
    """Width of the translation network T (1 and 19 channels)."""
    res_blocks: int = 2
    """Residual blocks of the translation network T."""
    body_widths: tuple[int, ...] = (64, 128, 256, 512)
    """Channels of the four groups of the IR-SE body; the last is also the width of the feature pyramid."""
    body_units: tuple[int, ...] = (3, 4, 14, 3)
    """IR-SE bottlenecks per group."""
    head_channels: int = 512
    """Channels of the convolutions in the style heads."""
    max_pooling: bool = False
    """Style heads end in global max pooling instead of average pooling."""
    learn_in_w: bool = False
    """One style head, whose w is repeated for all layers."""
    start_from_latent_avg: bool = True
    """The style heads predict offsets from `latent_avg`."""

    has_feature: bool = True
    """The encoder gives a first-layer feature f. False: pSp, which draws from the constant input."""
    feature_index: int = 0
    """0: f replaces the constant input. 1: f enters after the first styled convolution, f1 is its RGB."""
    num_skips: int = 7
    """Skip connections from encoder to generator, 0 to 7 (at most one per generator block)."""
    skip_to_rgb: bool = False
    """The skip connections also feed the running RGB image."""
    attention: int = 0
    """0: none. 1: skip connections attend to the editing vector through a label MLP with one more linear layer."""

    def __post_init__(self) -> None:
        if not self.generator_channels:
            object.__setattr__(self, "generator_channels", _PUBLISHED_CHANNELS[: len(self.sizes)])
        for name in ("generator_channels", "body_widths", "body_units"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        self._check(self.resolution >= 64 and self.resolution.bit_count() == 1, "resolution", "a power of two ≥ 64")
        self._check(len(self.generator_channels) == len(self.sizes), "generator_channels", f"{len(self.sizes)} numbers")
        self._check(len(self.body_widths) == 4, "body_widths", "four numbers")
        self._check(len(self.body_units) == 4, "body_units", "four numbers")
        for name in ("style_dim", "mapping_layers", "input_channels", "translation_channels", "head_channels"):
            self._check(getattr(self, name) >= 1, name, "at least 1")
        for name in ("generator_channels", "body_widths", "body_units"):
            self._check(all(number >= 1 for number in getattr(self, name)), name, "at least 1 each")
        self._check(self.res_blocks >= 0, "res_blocks", "0 or more")
        self._check(self.feature_index in (0, 1), "feature_index", "0 or 1")
        self._check(self.attention in (0, 1), "attention", "0 or 1")
        most = min(7, self.num_blocks) if self.has_encoder else 0
        self._check(0 <= self.num_skips <= most, "num_skips", f"0 to {most} for this network")

    def _check(self, good: bool, name: str, wanted: str) -> None:
        if not good:
            raise ModelError(f"ModelConfig.{name}: {getattr(self, name)!r} cannot be", f"give {wanted}")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Native sizes of the generator's layers: 4, 8, …, resolution."""
        return tuple(1 << power for power in range(2, self.resolution.bit_length()))

    @property
    def num_blocks(self) -> int:
        """Generator blocks after the first layer: one per size 8, 16, …, resolution."""
        return len(self.sizes) - 1

    @property
    def num_styles(self) -> int:
        """L, the vectors of w+: 2·log2(resolution) − 2."""
        return 2 * self.num_blocks + 2

    @property
    def num_noises(self) -> int:
        """Styled convolutions, each with a noise map: conv1 and two per block."""
        return 2 * self.num_blocks + 1

    @property
    def output_scale(self) -> int:
        """Output pixels per input pixel along each axis; networks below 256 shrink: use `output_size` for them."""
        if self.resolution < 256:
            raise ValueError(f"output_scale of a {self.resolution} network is below 1: use output_size")
        return self.resolution // 256

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of the output for an input of a multiple of 8 in both."""
        return height // 8 * self.resolution // 32, width // 8 * self.resolution // 32

    @property
    def translation(self) -> bool:
        """True: x1 goes through the translation network T instead of the input layer."""
        return self.input_channels != 3 and not self.direct_input

    @property
    def num_heads(self) -> int:
        """Style heads of the encoder."""
        return 1 if self.learn_in_w else self.num_styles

    @property
    def pyramid_channels(self) -> int:
        """Channels of c3 and of the feature pyramid p2, p1."""
        return self.body_widths[3]

    @property
    def tap_units(self) -> dict[str, int]:
        """Tap → index of the bottleneck it follows: 2, 6, 10, 15, 20, 23 for the published units (StyleGANEX §3.2).

        c128 (H/2), c1 (H/4), c2 (H/8) and c3 (H/16) close their groups; c21 and c22 lie a third and two thirds of
        the way through the H/8 group.
        """
        first, second, third, fourth = self.body_units
        c1 = first + second - 1
        return {
            "c128": first - 1,
            "c1": c1,
            "c21": c1 + max(1, third // 3),
            "c22": c1 + max(1, 2 * third // 3),
            "c2": c1 + third,
            "c3": c1 + third + fourth,
        }

    @property
    def skip_taps(self) -> tuple[str, ...]:
        """The encoder tap E_k that enters before generator block k, for each skip connection."""
        return ("c2", "c2", "c22", "c21", "c1", "c128", "c256")[: self.num_skips]

    @property
    def skip_channels(self) -> tuple[int, ...]:
        """Channels of each `skip_taps` entry."""
        groups = {"c256": 0, "c128": 0, "c1": 1, "c21": 2, "c22": 2, "c2": 2}
        return tuple(self.body_widths[groups[tap]] for tap in self.skip_taps)

    def to_json(self) -> str:
        """One line of JSON with every field."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> ModelConfig:
        """Inverse of `to_json`.

        Raises:
            ValueError: not JSON, an unknown or mistyped field, or a number that cannot be (ModelError).
        """
        values = json.loads(text)
        known = {field.name: field.default for field in fields(cls)}
        if not isinstance(values, dict) or (unknown := sorted(set(values) - set(known))):
            raise ValueError(f"unknown fields {', '.join(unknown)}" if isinstance(values, dict) else "not an object")
        for name, value in values.items():
            if isinstance(known[name], tuple):
                good = isinstance(value, list) and all(type(number) is int for number in value)
            else:
                good = type(value) is type(known[name])
            if not good:
                raise ValueError(f"field {name}: {value!r} has the wrong type")
        return cls(**values)


SIZES: dict[str, ModelConfig] = {
    "full": ModelConfig(),
    "lite": ModelConfig(
        resolution=256,
        style_dim=64,
        mapping_layers=2,
        generator_channels=(48, 48, 48, 48, 48, 48, 24),
        body_widths=(24, 32, 48, 48),
        body_units=(1, 1, 3, 1),
        head_channels=24,
        num_skips=6,
    ),
    "tiny": ModelConfig(
        resolution=256,
        style_dim=16,
        mapping_layers=2,
        generator_channels=(12, 12, 12, 12, 8, 8, 6),
        body_widths=(6, 8, 10, 12),
        body_units=(1, 1, 3, 1),
        head_channels=8,
        num_skips=6,
    ),
}
"""full: the published 1024 network; lite: the size of the embedded models; tiny: for tests."""
