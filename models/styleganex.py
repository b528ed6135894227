"""StyleGANEX: picture → Latent → picture, for faces that are neither cropped nor aligned."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from models.config import ModelConfig
from models.encoder import Encoder
from models.errors import ModelError
from models.generator import Generator
from models.latent import Latent

Noise = Literal["stored"] | Sequence[Tensor | None] | None


class StyleGANEX(nn.Module):
    """Encoder and generator. Its state dict has the published files' keys: `encoder.*`, `decoder.*`.

    Attributes:
        config: the numbers that it was built from.
        latent_avg: [L, style_dim], the average latent, or None where the file has none.
        editing_w: [N, L, style_dim], editing vectors, or None.
        metadata: free text that came with the file.
    """

    latent_avg: Tensor | None
    editing_w: Tensor | None

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config) if config.has_encoder else None
        self.decoder = Generator(config)
        self.register_buffer("latent_avg", None, persistent=False)
        self.register_buffer("editing_w", None, persistent=False)
        self.metadata: dict[str, str] = {}

    def mapping(self, z: Tensor) -> Tensor:
        """z [B, style_dim] → w [B, style_dim]."""
        return self.decoder.style(z)

    def invert(self, x1: Tensor, aligned: Tensor | None = None, batch_stats: bool = False) -> Latent:
        """Encode pictures.

        Args:
            x1: [B, input_channels, H, W] float; RGB in [−1, 1], sketches in [0, 1], parsing maps one-hot. H and W are
                multiples of 8.
            aligned: [B or 1, 3, 256, 256] in [−1, 1], the FFHQ-aligned crop that w+ is taken from; None: from x1.
            batch_stats: batch norms use this batch's statistics, as the published sketch and mask scripts do, and
                their running buffers stay as they are.

        Raises:
            ModelError: there is no encoder, or a shape does not fit.
        """
        with self._batch_statistics() if batch_stats else contextlib.nullcontext():
            if aligned is not None:
                wplus = self.encode_style(aligned).expand(x1.shape[0], -1, -1)
                content = self._content(x1, "c2")
                return Latent(wplus, content.feature, content.skips, content.feature_rgb)
            self._check_input(x1)
            encoder = self._encoder()
            features = encoder.features(x1, "c3")
            content = encoder.content_from(features)
            wplus = self._around_average(encoder.styles_from(features))
            return Latent(wplus, content.feature, content.skips, content.feature_rgb)

    def encode_style(self, aligned: Tensor) -> Tensor:
        """w+ [B, L, style_dim] of aligned crops [B, 3, 256, 256] in [−1, 1]."""
        encoder = self._encoder()
        if self.config.input_channels != 3:
            raise ModelError(
                f"aligned crops mean nothing to a model with {self.config.input_channels} input channels",
                "leave `aligned` out: w+ then comes from x1",
            )
        if aligned.ndim != 4 or tuple(aligned.shape[1:]) != (3, 256, 256):
            raise ModelError(f"aligned: expected [B, 3, 256, 256], got {list(aligned.shape)}", "pass an FFHQ-aligned crop")
        return self._around_average(encoder.styles_from(encoder.features(aligned, "c3")))

    def encode_content(self, x1: Tensor) -> Latent:
        """f and skips of x1 (see `invert`) without w+, which is left empty [B, 0, style_dim]; costs less than `invert`."""
        content = self._content(x1, "c2")
        empty = x1.new_empty(x1.shape[0], 0, self.config.style_dim)
        return Latent(empty, content.feature, content.skips, content.feature_rgb)

    def synthesize(self, latent: Latent, edit: Tensor | None = None, noise: Noise = None) -> Tensor:
        """Draw pictures.

        Args:
            latent: from `invert`, or made by hand.
            edit: [1 or B, L, style_dim], added to w+ and shown to the attention of the skip connections.
            noise: None: no noise; "stored": the checkpoint's maps; or one map [1, 1, h, w] or None per styled
                convolution, conv1 first.

        Returns:
            [B, 3, H·scale, W·scale] float, nominally in [−1, 1], not clamped; scale = resolution/256.
        """
        rows, dim = self.config.num_styles, self.config.style_dim
        if latent.wplus.ndim != 3 or tuple(latent.wplus.shape[1:]) != (rows, dim):
            raise ModelError(f"w+: expected [B, {rows}, {dim}], got {list(latent.wplus.shape)}", "use this model's w+")
        wplus = latent.wplus if edit is None else latent.wplus + edit
        fusion = list(self.encoder.fusion) if self.encoder is not None and self.config.num_skips else []
        return self.decoder(
            wplus, latent.feature, latent.feature_rgb, self._noise(noise), fusion, latent.skips, edit
        )

    def sample(
        self,
        z: Tensor,
        truncation: float = 1.0,
        truncation_latent: Tensor | None = None,
        noise: Noise = "stored",
    ) -> Tensor:
        """Plain StyleGAN2: z [B, style_dim] → pictures [B, 3, resolution, resolution], from the constant input.

        `truncation` ψ < 1 pulls w towards `truncation_latent` [1 or L, style_dim] (None: the file's average):
        w̄ + ψ·(w − w̄).
        """
        w = self.mapping(z)[:, None].expand(-1, self.config.num_styles, -1)
        if truncation != 1.0:
            centre = self.latent_avg if truncation_latent is None else truncation_latent
            if centre is None:
                raise ModelError("truncation needs a centre and this file has no average latent", "pass truncation_latent")
            w = centre + truncation * (w - centre)
        return self.synthesize(Latent(w), noise=noise)

    def _encoder(self) -> Encoder:
        if self.encoder is None:
            raise ModelError("this model is a generator without an encoder", "load a StyleGANEX or pSp file to invert")
        return self.encoder

    def _check_input(self, x1: Tensor) -> None:
        channels = self.config.input_channels
        if x1.ndim != 4 or x1.shape[1] != channels:
            raise ModelError(f"x1: expected [B, {channels}, H, W], got {list(x1.shape)}", "check the model's input kind")
        if x1.shape[2] % 8 or x1.shape[3] % 8 or 0 in x1.shape:
            raise ModelError(
                f"x1: height and width must be multiples of 8, got {x1.shape[2]}×{x1.shape[3]}",
                "pad the picture and cut the result",
            )

    def _content(self, x1: Tensor, upto: str):  # noqa: ANN202 - Content of models.encoder
        encoder = self._encoder()
        self._check_input(x1)
        return encoder.content_from(encoder.features(x1, upto))

    def _around_average(self, offsets: Tensor) -> Tensor:
        if self.config.start_from_latent_avg and self.latent_avg is not None:
            return offsets + self.latent_avg
        return offsets

    def _noise(self, noise: Noise) -> Sequence[Tensor | None]:
        count = self.config.num_noises
        if noise is None:
            return [None] * count
        if isinstance(noise, str):
            return self.decoder.stored_noise()
        if len(noise) != count:
            raise ModelError(f"noise: expected {count} maps, got {len(noise)}", "pass one map or None per styled layer")
        return noise

    @contextlib.contextmanager
    def _batch_statistics(self) -> Iterator[None]:
        norms = [m for m in self.modules() if isinstance(m, nn.BatchNorm2d)]
        before = [(m.training, m.momentum, m.num_batches_tracked) for m in norms]
        for norm in norms:
            norm.training, norm.momentum = True, 0.0
            norm.num_batches_tracked = None
        try:
            yield
        finally:
            for norm, (training, momentum, tracked) in zip(norms, before, strict=True):
                norm.training, norm.momentum, norm.num_batches_tracked = training, momentum, tracked


def build_on_meta(config: ModelConfig) -> StyleGANEX:
    """The network without storage, for key and shape checks and for loading by assignment."""
    with torch.device("meta"):
        return StyleGANEX(config)
