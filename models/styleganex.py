"""StyleGANEX, the whole: invert(x1, x2) → Latent, synthesize(Latent) → image. Arguments are checked here, once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from models.backbone import batch_statistics
from models.config import ALIGNED_SIZE, ModelConfig
from models.encoder import Content, Encoder
from models.errors import ModelError
from models.fast import FastPath
from models.fusion import SkipFusion
from models.generator import Fuse, Generator
from models.latent import Latent
from models.precision import Precision, arithmetic, check_precision
from models.steps import PlainSteps, Steps
from models.tiled_encoder import content_tiled

Noise = Literal["stored"] | Sequence[Tensor | None] | None


class StyleGANEX(nn.Module):
    """The network of a ModelConfig, with random weights until a checkpoint fills it.

    Attributes:
        config: its architecture.
        latent_avg: [L, style_dim], the mean w; None where a generator file has none.
        editing_w: [N, L, style_dim], editing directions that came with the weights, or None.
        metadata: free text that came with the weights (our own files only).
    """

    latent_avg: Tensor | None
    editing_w: Tensor | None

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.metadata: dict[str, str] = {}
        self.encoder = Encoder(config) if config.has_encoder else None
        widths = config.generator_channels
        self.fusion = nn.ModuleList(
            SkipFusion(config, skip_channels, widths[k]) for k, skip_channels in enumerate(config.skip_channels)
        )
        self.generator = Generator(config)
        self.register_buffer("latent_avg", torch.zeros(config.num_styles, config.style_dim))
        self.register_buffer("editing_w", None)
        self._fast: FastPath | None = None
        self._precision: Precision = "fp32"

    def invert(self, x1: Tensor, aligned: Tensor | None = None, *, batch_stats: bool = False) -> Latent:
        """Encode x1, and w+ from the aligned crop x2 where one is given, else from x1 (StyleGANEX §3.2).

        Args:
            x1: [B, C, H, W] float, H and W multiples of 8; RGB in [−1, 1], a sketch in [0, 1] (dark on white) or a
                one-hot mask.
            aligned: [1 or B, 3, 256, 256] in [−1, 1], FFHQ-aligned.
            batch_stats: batch norms use the statistics of this input, as the published sketch and mask scripts do,
                and the running ones are left alone.

        Raises:
            ModelError: no encoder, wrong shapes, or an aligned crop for a model that does not take RGB.
        """
        encoder = self._encoder()
        with batch_statistics(encoder) if batch_stats else nullcontext():
            if aligned is None:
                self._check_input(x1)
                if self._precision != "fp32":
                    content, offsets = self.encode_content(x1), self._style_offsets(x1)
                elif (fast := self._fast_path(x1)) is not None:
                    content, offsets = fast.encoder("fp32").content_and_style(x1)
                else:
                    with arithmetic("fp32", x1.device):
                        content, offsets = encoder(x1)
                wplus = self._from_offsets(offsets)
            else:
                content = self.encode_content(x1)
                wplus = self.encode_style(aligned)
                if wplus.shape[0] not in (1, x1.shape[0]):
                    raise ModelError(
                        f"invert: {x1.shape[0]} inputs and {wplus.shape[0]} aligned crops",
                        "give one crop, or one per input",
                    )
        return Latent(wplus.expand(x1.shape[0], -1, -1), content.feature, content.skips, content.feature_rgb)

    def encode_content(self, x1: Tensor) -> Content:
        """f, the skip features and f1 of x1, without w+. See `invert`."""
        encoder = self._encoder()
        self._check_input(x1)
        if (fast := self._fast_path(x1)) is not None:
            return fast.encoder(self._precision).content(x1)
        with arithmetic(self._precision, x1.device):
            return encoder.content(x1)

    def encode_content_tiled(self, x1: Tensor, tile: int) -> Content:
        """As `encode_content` for one x1 [1, C, H, W], within 1e-4 in float32, its finest levels in tiles of `tile` × 8
        pixels: slower, and of what lies at H and H/2 nothing is held but the skip features. Inference only.
        """
        encoder = self._encoder()
        self._check_input(x1)
        with torch.no_grad(), arithmetic(self._precision, x1.device):
            return content_tiled(encoder, x1, tile)

    def encode_style(self, aligned: Tensor) -> Tensor:
        """w+ [B, L, style_dim] of aligned crops [B, 3, 256, 256], latent_avg included. See `invert`."""
        if self.config.input_channels != 3:
            raise ModelError(
                f"invert: an aligned crop was given to a model of {self.config.input_channels}-channel inputs",
                "leave it out: w+ comes from x1",
            )
        if aligned.ndim != 4 or aligned.shape[1:] != (3, ALIGNED_SIZE, ALIGNED_SIZE):
            raise ModelError(
                f"invert: aligned crop of shape {list(aligned.shape)}", "give [B, 3, 256, 256], FFHQ-aligned"
            )
        return self._from_offsets(self._style_offsets(aligned))

    def synthesize(self, latent: Latent, edit: Tensor | None = None, noise: Noise = None) -> Tensor:
        """Draw the image of a latent: [B, 3, 4H, 4W] for a 1024 model, nominally in [−1, 1], not clamped.

        Args:
            latent: from `invert`, edited or not. One feature with B w+ gives B variants.
            edit: [1 or B, L, style_dim], added to w+ and shown to the attention of the skip connections.
            noise: None: zero noise. "stored": the checkpoint's maps. Or one map [1 or B, 1, h, w] (or None) per
                styled convolution, conv1 first; any size, pooled to the feature's.

        Raises:
            ModelError: shapes that do not belong to this model.
        """
        wplus, maps = self.edited_codes(latent, edit), self.noise_maps(noise)
        if (fast := self._fast_path(wplus)) is not None:
            parts = latent.feature, latent.feature_rgb, maps, latent.skips
            return fast.generator(self._precision)(wplus, *parts, edit, source=(latent.wplus, edit))
        fusions: list[Fuse] = [
            partial(fusion, skip=skip, direction=None if edit is None else edit[:, 2 * k + 1])
            for k, (fusion, skip) in enumerate(zip(self.fusion, latent.skips, strict=False))
        ]
        with arithmetic(self._precision, wplus.device):
            return self.generator(wplus, latent.feature, latent.feature_rgb, maps, fusions)

    def edited_codes(self, latent: Latent, edit: Tensor | None = None) -> Tensor:
        """w+ with the edit added, [1 or B, L, style_dim]; see `synthesize`.

        Raises:
            ModelError: shapes that do not belong to this model.
        """
        config = self.config
        self._check_codes("w+", latent.wplus)
        wplus = latent.wplus
        if edit is not None:
            self._check_codes("edit", edit)
            if 1 not in (wplus.shape[0], edit.shape[0]) and wplus.shape[0] != edit.shape[0]:
                raise ModelError(
                    f"synthesize: {edit.shape[0]} edits for {wplus.shape[0]} w+", "give one, or one for each"
                )
            wplus = wplus + edit
        batches = {codes.shape[0] for codes in (wplus, latent.feature) if codes is not None}
        if len(batches - {1}) > 1:
            raise ModelError(
                f"synthesize: batch sizes {sorted(batches)} do not go together", "give 1 or the same number"
            )
        if latent.skips and (len(latent.skips) != config.num_skips or latent.feature is None):
            raise ModelError(
                f"synthesize: latent with {len(latent.skips)} skip features for a model of {config.num_skips}",
                "use a latent of the same model, or skips=()",
            )
        if config.feature_index == 1 and latent.feature is not None and latent.feature_rgb is None:
            raise ModelError("synthesize: this model needs feature_rgb beside feature", "take both from `invert`")
        return wplus

    def steps(self, wplus: Tensor, edit: Tensor | None) -> Steps:
        """The generator step by step, for one w+ [1, L, style_dim] with the edit added, and the edit."""
        if (fast := self._fast_path(wplus)) is not None:
            return fast.generator(self._precision).steps(wplus, edit)
        fusions = [fusion for fusion in self.fusion if isinstance(fusion, SkipFusion)]
        return PlainSteps(self.generator, fusions, wplus, edit, self._precision)

    def mapping(self, z: Tensor) -> Tensor:
        """z [B, style_dim], N(0, 1) → w [B, style_dim]."""
        if z.ndim != 2 or z.shape[1] != self.config.style_dim:
            raise ModelError(f"mapping: z of shape {list(z.shape)}", f"give [B, {self.config.style_dim}]")
        return self.generator.mapping(z)

    def sample(
        self,
        z: Tensor,
        truncation: float = 1.0,
        truncation_latent: Tensor | None = None,
        noise: Noise = "stored",
    ) -> Tensor:
        """Plain StyleGAN2 from the constant input: z [B, style_dim] → [B, 3, resolution, resolution].

        Args:
            truncation: ψ of w̄ + ψ·(w − w̄); 1 leaves w as it is.
            truncation_latent: w̄, [style_dim], [1, style_dim] or [L, style_dim]; None: latent_avg.
            noise: as in `synthesize`.

        Raises:
            ModelError: truncation without a centre, or wrong shapes.
        """
        wplus = self.mapping(z)[:, None].expand(-1, self.config.num_styles, -1)
        if truncation != 1.0:
            center = self.latent_avg if truncation_latent is None else truncation_latent
            if center is None:
                raise ModelError("sample: truncation without a centre", "give truncation_latent, the mean w")
            wplus = Latent(wplus).truncate(center, truncation).wplus
        maps = self.noise_maps(noise)
        if (fast := self._fast_path(wplus)) is not None:
            return fast.generator(self._precision)(wplus, None, None, maps, (), None)
        with arithmetic(self._precision, wplus.device):
            return self.generator(wplus, noise=maps)

    @property
    def precision(self) -> Precision:
        """Arithmetic of content and synthesis."""
        return self._precision

    def set_precision(self, precision: Precision) -> None:
        """Arithmetic of content and synthesis from now on; w+, styles and the running RGB image stay float32.

        Raises:
            ModelError: the device of the weights cannot do that.
        """
        check_precision(precision, self.generator.constant.device)
        self._precision = precision

    def _fast_path(self, x: Tensor) -> FastPath | None:
        """The network's other formulation for x, where it gives the same numbers sooner; see models/fast.py."""
        if not FastPath.suits(self, x):
            return None
        if self._fast is None or not self._fast.is_current():
            self._fast = FastPath(self)
        return self._fast

    def __getstate__(self) -> dict[str, object]:
        """Copies and pickles hold the weights once."""
        return {**self.__dict__, "_fast": None}

    def _encoder(self) -> Encoder:
        if self.encoder is None:
            raise ModelError("invert: this file holds a generator alone", "load a StyleGANEX or pSp checkpoint")
        return self.encoder

    def _style_offsets(self, x: Tensor) -> Tensor:
        if (fast := self._fast_path(x)) is not None:
            return fast.encoder("fp32").style(x)
        with arithmetic("fp32", x.device):
            return self._encoder().style(x)

    def _from_offsets(self, offsets: Tensor) -> Tensor:
        if not self.config.start_from_latent_avg:
            return offsets
        if self.latent_avg is None:
            raise ModelError("invert: this model starts from latent_avg and has none", "set net.latent_avg")
        return offsets + self.latent_avg

    def _check_input(self, x1: Tensor) -> None:
        channels = self.config.input_channels
        if x1.ndim != 4 or x1.shape[1] != channels or not x1.is_floating_point():
            raise ModelError(f"invert: x1 is {x1.dtype} {list(x1.shape)}", f"give float [B, {channels}, H, W]")
        height, width = x1.shape[2:]
        if height % 8 or width % 8 or not height or not width:
            raise ModelError(f"invert: x1 is {height}×{width} (H×W)", "pad or crop both to a multiple of 8")

    def _check_codes(self, name: str, codes: Tensor) -> None:
        wanted = (self.config.num_styles, self.config.style_dim)
        if codes.ndim != 3 or codes.shape[1:] != wanted:
            raise ModelError(f"synthesize: {name} of shape {list(codes.shape)}", f"give [B, {wanted[0]}, {wanted[1]}]")

    def noise_maps(self, noise: Noise) -> Sequence[Tensor | None]:
        """One map or None per styled convolution; see `synthesize`."""
        count = self.config.num_noises
        if noise is None:
            return [None] * count
        if isinstance(noise, str):
            if noise != "stored":
                raise ModelError(f"noise: {noise!r}", "give None, 'stored' or a sequence of maps")
            return self.generator.stored_noise
        if len(noise) != count:
            raise ModelError(f"noise: {len(noise)} maps", f"give {count}, None where there is none")
        return noise
