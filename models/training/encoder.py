"""Training of the whole network, or of its encoder alone, on pairs (StyleGANEX §4, spec §7)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from models.checkpoint import save_checkpoint
from models.config import ModelConfig
from models.latent import Latent
from models.precision import Precision
from models.styleganex import StyleGANEX
from models.training.batches import Batch, Source
from models.training.distributed import World
from models.training.encoder_losses import EncoderLosses, LossSettings
from models.training.feature import feature_loss
from models.training.loop import sheet_of
from models.training.optimizers import Descent, follow, make_optimizer
from models.training.palette import read_palette
from models.training.settings import OptimizerSettings, Settings
from models.training.transfer import attention_parameters, open_attention, take_fitting, take_generator
from models.training.watch import require_finite

FINE_LAYERS = 8
"""First layer of w+ that a style code replaces (spec §5: w_8 …)."""
CODE_GAIN = 0.7
"""Factor of mapping(z) there (spec §5)."""


class EncoderSettings(Settings):
    """What is trained, and how it is averaged."""

    train: tuple[Literal["encoder", "fusion", "generator"], ...] = ("encoder", "fusion", "generator")
    """Parts that learn. As published: encoder and fusion, with the generator of a StyleGAN2 file in `init`."""
    step_one: float = Field(default=0.0, ge=0)
    """Above 0 the run is step I: the weight of the MSE to the generator's first-layer feature; skip connections are
    off, the other losses judge what is drawn from w+ and the feature alone."""
    ema: float = Field(default=0.998, ge=0, lt=1)
    """Decay of the averaged weights, which are what is saved."""
    fix_norms_at: float = Field(default=0.3, ge=0)
    """Share of the steps after which batch norms use their running statistics, as they will in use."""
    new_mapping: bool = False
    """Sketch and mask models: z means nothing yet in `init`, and is set to tell a palette (models/training/palette.py);
    so it is without this where `init` is null, or says `can_sample: no`."""
    direction_std: float = Field(default=0.05, gt=0)
    """Standard deviation of learned directions at the start, in units of w+: what tells one edit from another."""
    attention_rate: float = Field(default=1.0, gt=0)
    """Factor of the learning rate for the attention of the skip connections. Its single logit sums some thousand
    weights: at the rate of the convolutions it soon leaves the range in which it has a slope, shut or open for good."""
    learn_style: bool = True
    """Gradients reach the encoder through the style crop too. False: through the content alone, in a third less time;
    for edits, where w+ of the crop is one value among others and the directions tell what is to change."""
    precision: Precision = "fp32"
    """Arithmetic of the forward pass (torch.amp); weights and losses stay fp32."""


class Drawn(NamedTuple):
    """What `render` gives."""

    image: Tensor
    wplus: Tensor
    """Edits not included."""
    feature: Tensor | None


class EncoderLearner:
    """A network, its average, its optimiser and its data: a `Learner`.

    Args:
        init: weights to start from, as far as they fit.
        decoder: whose generator the network has instead of `init`'s (spec §5: a toonify model has the toonified one's).
        palette: z tells colours (sketch and mask models).
        directions: names of the edits.
        known_directions: [N, L, style_dim] of them; None: they are learned.

    Raises:
        UserError: files that the losses need are missing, or `init` or `decoder` does not fit.
    """

    file = "weights.safetensors"

    def __init__(
        self,
        config: ModelConfig,
        source: Source,
        losses: LossSettings,
        optimizer: OptimizerSettings,
        settings: EncoderSettings,
        *,
        seed: int = 0,
        init: StyleGANEX | None = None,
        decoder: StyleGANEX | None = None,
        palette: bool = False,
        directions: tuple[str, ...] = (),
        known_directions: Tensor | None = None,
        metadata: Mapping[str, str] | None = None,
        world: World | None = None,
        device: torch.device | None = None,
    ) -> None:
        torch.manual_seed(seed)
        self.world, self.device = world or World(), device or torch.device("cpu")
        self.net, self.average = StyleGANEX(config), StyleGANEX(config)
        for net in (self.net, self.average):
            net.latent_avg = torch.zeros(config.num_styles, config.style_dim)
        if init is not None:
            take_fitting(self.net, init)
            if not init.config.attention:
                open_attention(self.net)
        if decoder is not None:
            take_generator(self.net, decoder)
        # No loss here sees what w the mapping network gives: only weights that were started from know what z means.
        can_sample = "no" if init is None else init.metadata.get("can_sample")
        if palette and (settings.new_mapping or can_sample == "no"):
            read_palette(self.net)
        self.average.load_state_dict(self.net.state_dict())
        self.average.requires_grad_(False).eval()
        self._metadata = dict(metadata or {}) | ({"directions": ",".join(directions)} if directions else {})
        self._metadata |= {} if can_sample is None else {"can_sample": can_sample}
        codes = known_directions
        if directions and codes is None:
            codes = settings.direction_std * torch.randn(len(directions), config.num_styles, config.style_dim)
        learned = known_directions is None
        self.directions = None if codes is None else nn.Parameter(codes.clone().to(self.device), requires_grad=learned)
        self.average.editing_w = None if codes is None else codes.clone()
        self.net.to(self.device)
        self.average.to(self.device)
        for part in ("encoder", "fusion", "generator"):
            self.net.get_submodule(part).requires_grad_(part in settings.train)
        self.parameters = [p for p in self.net.parameters() if p.requires_grad]
        self.parameters += [self.directions] if self.directions is not None and learned else []
        made = make_optimizer(self._groups(settings.attention_rate), optimizer)
        self.descent = Descent(made, self.world, self.device, settings.precision, optimizer.clip)
        self.losses = EncoderLosses(losses, config, self.device, self.world)
        self.rate_settings = self.losses.rate_settings
        self.source, self._rates, self._settings = source, optimizer, settings

    def _groups(self, attention_rate: float) -> list[dict[str, Any]]:
        """All that learns, as the optimiser takes it."""
        if attention_rate == 1:
            return [{"params": self.parameters}]
        slow = {id(p) for p in attention_parameters(self.net)}
        return [
            {"params": [p for p in self.parameters if id(p) not in slow]},
            {"params": [p for p in self.parameters if id(p) in slow], "factor": attention_rate},
        ]

    def step(self, index: int, steps: int) -> dict[str, float]:
        """See `Learner.step`."""
        rate, share = self._rates.rate(index, steps), index / steps
        self._set_mode(share)
        self.descent.start(rate)
        count, weight, total, numbers = self._rates.accumulate, self._settings.step_one, 0.0, {}
        for micro in range(count):
            batch = self.source.batch(index * count + micro).to(self.device)
            drawn = self._draw(batch)
            offset = drawn.wplus if self.net.latent_avg is None else drawn.wplus - self.net.latent_avg
            feature = () if not weight else (("feature", weight, feature_loss(self.net, drawn.feature, batch)),)
            loss, parts = self.losses(drawn.image.float(), offset.float(), batch, share, self._redraw, feature)
            require_finite(self.world.mean(loss.item()), "the loss")
            self.descent.backward(loss / count)
            total += loss.item() / count
            numbers = {name: numbers.get(name, 0.0) + value.item() / count for name, value in parts.items()}
        self.descent.finish()
        numbers |= self.losses.train_discriminator(index)
        self._follow(index + 1)
        return {"loss": total, **numbers, "learning_rate": rate}

    def _set_mode(self, share: float) -> None:
        self.net.train()
        for part in ("encoder", "fusion", "generator"):
            if part not in self._settings.train:
                self.net.get_submodule(part).eval()
        if share >= self._settings.fix_norms_at:
            for module in self.net.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()

    def _redraw(self, batch: Batch) -> Tensor:
        """The network's picture of a changed batch, for the temporal loss."""
        return self._draw(batch).image.float()

    def _draw(self, batch: Batch) -> Drawn:
        with self.descent.arithmetic():
            skips, style = not self._settings.step_one, self._settings.learn_style
            return render(self.net, batch, self.directions, skips=skips, learn_style=style)

    @torch.no_grad()
    def _follow(self, done: int) -> None:
        self.world.average_buffers(self.net)
        decay = min(self._settings.ema, (1 + done) / (10 + done))
        editing, self.average.editing_w = self.average.editing_w, None
        follow(self.average, self.net, decay)
        if editing is not None and self.directions is not None:
            self.average.editing_w = editing.lerp_(self.directions, 1 - decay)

    @torch.no_grad()
    def sheet(self) -> np.ndarray:
        """Input (where it is a picture), output, target."""
        batch = self.source.preview().to(self.device)
        output = render(self.average, batch, self.average.editing_w, skips=not self._settings.step_one).image
        if batch.x.shape[1] == 3:
            x = batch.x
        elif batch.x.shape[1] == 1:
            x = (2 * batch.x - 1).expand(-1, 3, -1, -1)
        else:
            x = (batch.x.argmax(1, keepdim=True) / 9 - 1).expand(-1, 3, -1, -1)
        side = output.shape[2:]
        return sheet_of([F.interpolate(x, side, mode="nearest"), output, batch.y])

    def write(self, folder: Path, metadata: dict[str, str]) -> None:
        """See `Learner.write`: the averaged network."""
        save_checkpoint(self.average, folder / self.file, self._metadata | metadata)

    def state(self) -> dict[str, Any]:
        """See `Learner.state`."""
        return {
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "directions": self.directions,
            **self.descent.state(),
            "losses": self.losses.state(),
            "source": self.source.state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """See `Learner.load_state`."""
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        if self.directions is not None:
            with torch.no_grad():
                self.directions.copy_(state["directions"])
        self.descent.load_state(state)
        self.losses.load_state(state["losses"])
        self.source.load_state(state["source"])

    def close(self) -> None:
        """See `Learner.close`."""
        self.source.close()


def render(
    net: StyleGANEX, batch: Batch, directions: Tensor | None = None, *, skips: bool = True, learn_style: bool = True
) -> Drawn:
    """The network's pictures for a batch, without noise.

    w+ comes from each scene's style crop where there is one, the content from its crops.

    Args:
        directions: [N, L, style_dim], for batches of edits.
        skips: False: from w+ and the first-layer feature alone (step I).
        learn_style: False: no gradient through the style crop.
    """
    if batch.aligned is None:
        latent = net.invert(batch.x)
    else:
        content = net.encode_content(batch.x)
        with torch.set_grad_enabled(torch.is_grad_enabled() and learn_style):
            wplus = net.encode_style(batch.aligned)
        crops = batch.x.shape[0] // batch.aligned.shape[0]
        latent = Latent(wplus.repeat_interleave(crops, dim=0), content.feature, content.skips, content.feature_rgb)
    wplus = latent.wplus
    if batch.code is not None:
        fine = CODE_GAIN * net.mapping(batch.code)[:, None].expand(-1, wplus.shape[1] - FINE_LAYERS, -1)
        wplus = torch.cat([wplus[:, :FINE_LAYERS], fine], dim=1)
    edit = None
    if batch.direction is not None and batch.strength is not None:
        if directions is None:
            raise ValueError("render: edit pairs need directions")
        edit = batch.strength[:, None, None] * directions[batch.direction]
    latent = latent._replace(wplus=wplus, skips=latent.skips if skips else ())
    return Drawn(net.synthesize(latent, edit), wplus, latent.feature)
