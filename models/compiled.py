"""A network whose content and synthesis go through torch.compile: plain modules, fused kernels, one per input size.

On a GPU each size is captured as a CUDA graph too, which takes the launching of hundreds of kernels off the CPU. On a
CPU the fast formulation (models/fast.py) is the better one; this works there as well, and says so.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch._dynamo.exc import TorchDynamoException

from models.encoder import Content
from models.errors import ModelError
from models.generator import Fuse
from models.latent import Latent
from models.precision import arithmetic
from models.styleganex import Noise, StyleGANEX

log = logging.getLogger(__name__)
T = TypeVar("T")
MOST_SIZES = 8
"""Input sizes that PyTorch compiles for one part; what comes after runs uncompiled."""


class CompiledNet(StyleGANEX):
    """The same weights behind the same calls, within float rounding of the net it was made of.

    Compiled are `encode_content` and `synthesize` without gradients; w+, gradients and single steps stay as they were.

    Args:
        net: in eval mode, on the device where it stays.

    Raises:
        ModelError: the machine lacks a compiler.
    """

    def __init__(self, net: StyleGANEX) -> None:
        nn.Module.__init__(self)
        self.__dict__.update(net.__getstate__())
        device = net.generator.constant.device
        check_compiler(device)
        keep_compiled()
        self._calls: tuple[Callable[[Tensor], Content], Callable[..., Tensor]] | None = None
        self._sizes: dict[str, set[Hashable]] = {"encoder": set(), "generator": set()}

    def __getstate__(self) -> dict[str, object]:
        """A copy compiles for itself: its weights lie elsewhere."""
        sizes: dict[str, set[Hashable]] = {"encoder": set(), "generator": set()}
        return {**super().__getstate__(), "_calls": None, "_sizes": sizes}

    def _compiled(self) -> tuple[Callable[[Tensor], Content], Callable[..., Tensor]]:
        """Content and synthesis; nothing is compiled before the first call with an input."""
        if self._calls is not None:
            return self._calls
        mode = "reduce-overhead" if self.generator.constant.device.type == "cuda" else None
        encoder, generator, fusion = self.encoder, self.generator, self.fusion

        def content(x1: Tensor) -> Content:
            assert encoder is not None
            return encoder.content(x1)

        def draw(
            wplus: Tensor,
            feature: Tensor | None,
            feature_rgb: Tensor | None,
            maps: Sequence[Tensor | None],
            skips: Sequence[Tensor],
            edit: Tensor | None,
        ) -> Tensor:
            fusions: list[Fuse] = [
                partial(each, skip=skip, direction=None if edit is None else edit[:, 2 * k + 1])
                for k, (each, skip) in enumerate(zip(fusion, skips, strict=False))
            ]
            return generator(wplus, feature, feature_rgb, maps, fusions)

        self._calls = (
            torch.compile(content, dynamic=False, mode=mode),
            torch.compile(draw, dynamic=False, mode=mode),
        )
        return self._calls

    def encode_content(self, x1: Tensor) -> Content:
        """As `StyleGANEX.encode_content`."""
        if torch.is_grad_enabled():
            return super().encode_content(x1)
        self._encoder()
        self._check_input(x1)
        size = (tuple(x1.shape), self._precision)
        content = self._first("encoder", size, x1, lambda: self._compiled()[0](x1))
        return Content(
            self._own(content.feature), tuple(skip.clone() for skip in content.skips), self._own(content.feature_rgb)
        )

    def synthesize(self, latent: Latent, edit: Tensor | None = None, noise: Noise = None) -> Tensor:
        """As `StyleGANEX.synthesize`."""
        if torch.is_grad_enabled():
            return super().synthesize(latent, edit, noise)
        wplus, maps = self.edited_codes(latent, edit), self.noise_maps(noise)
        shape = None if latent.feature is None else tuple(latent.feature.shape)
        size = (shape, wplus.shape[0], edit is None, noise is None, bool(latent.skips), self._precision)
        call = partial(self._compiled()[1], wplus, latent.feature, latent.feature_rgb, list(maps), latent.skips, edit)
        return self._first("generator", size, wplus, call).clone()

    def _own(self, tensor: Tensor | None) -> Tensor | None:
        """A copy: a CUDA graph writes its next result over this one."""
        return None if tensor is None else tensor.clone()

    def _first(self, part: str, size: Hashable, x: Tensor, call: Callable[[], T]) -> T:
        """`call`, with a word about it where it compiles."""
        known = self._sizes[part]
        new = size not in known and len(known) < MOST_SIZES
        if new:
            log.info("compiling the %s for a new input size; later frames and later runs have it at once", part)
        elif size not in known and len(known) == MOST_SIZES:
            log.warning("compile: more than %d input sizes; the %s runs uncompiled for further ones", MOST_SIZES, part)
        known.add(size)
        started = time.perf_counter()
        try:
            if x.device.type == "cuda":
                torch.compiler.cudagraph_mark_step_begin()
            with arithmetic(self._precision, x.device):
                result = call()
        except TorchDynamoException as error:
            reason = " ".join(str(error).split()[:30])
            raise ModelError(f"compile: the {part} could not be compiled: {reason}", "leave --compile out") from error
        if new:
            log.info("compiled the %s in %.0f s", part, time.perf_counter() - started)
        return result


def check_compiler(device: torch.device) -> None:
    """Raise where nothing can be compiled for a device.

    Raises:
        ModelError: no C++ compiler, no Triton, or a kind of device that is not supported.
    """
    if device.type not in ("cpu", "cuda"):
        raise ModelError(f"compile: not for {device.type}", "leave --compile out, or use --device cpu or cuda")
    if device.type == "cuda" and importlib.util.find_spec("triton") is None:
        raise ModelError("compile: Triton is not installed", "leave --compile out, or install torch's CUDA build")
    compiler = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    if shutil.which(compiler) is None:
        raise ModelError(
            f"compile: this machine has no C++ compiler ({compiler})",
            "leave --compile out, or install one (Debian: apt-get install g++), or name one in CXX",
        )


def keep_compiled() -> Path:
    """Where kernels are kept between runs: $TORCHINDUCTOR_CACHE_DIR, or styleganex/compiled in the user's cache folder.

    PyTorch's own default lies in the system's temporary folder, which does not last.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache / "styleganex" / "compiled")))
