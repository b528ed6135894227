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

from models.compiled_sizes import MOST_SIZES, Sizes, widen
from models.encoder import Content
from models.errors import ModelError
from models.generator import Fuse
from models.latent import Latent
from models.precision import arithmetic
from models.styleganex import Noise, StyleGANEX

log = logging.getLogger(__name__)
T = TypeVar("T")


class CompiledNet(StyleGANEX):
    """The same weights behind the same calls, within float rounding of the net it was made of.

    Compiled are `encode_content` and `synthesize` without gradients; w+, gradients and single steps stay as they were.
    A batch that is smaller than a compiled one is filled up to it: the last frames of a clip compile nothing.

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
        self._sizes = {"encoder": Sizes(), "generator": Sizes()}

    def __getstate__(self) -> dict[str, object]:
        """A copy compiles for itself: its weights lie elsewhere."""
        sizes = {"encoder": Sizes(), "generator": Sizes()}
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
            edit: Tensor | None,
            maps: Sequence[Tensor | None],
            feature: Tensor | None,
            feature_rgb: Tensor | None,
            skips: Sequence[Tensor],
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
        kind, count = (x1.shape[1:], self._precision), x1.shape[0]
        rows = self._sizes["encoder"].fit(kind, count)
        x = widen(x1, rows)
        content = self._first("encoder", kind, rows, x, lambda: self._compiled()[0](x))
        skips = tuple(skip[:count].clone() for skip in content.skips)
        return Content(_own(content.feature, count), skips, _own(content.feature_rgb, count))

    def synthesize(self, latent: Latent, edit: Tensor | None = None, noise: Noise = None) -> Tensor:
        """As `StyleGANEX.synthesize`."""
        if torch.is_grad_enabled():
            return super().synthesize(latent, edit, noise)
        wplus, maps = self.edited_codes(latent, edit), self.noise_maps(noise)
        parts = [wplus, edit, *maps, latent.feature, latent.feature_rgb, *latent.skips]
        images = 2 + len(maps)  # where those begin that are each sample's own
        sizes, count = self._sizes["generator"], max(1 if each is None else each.shape[0] for each in parts)
        # What is the same for a whole batch stays one row: shared weights take another, cheaper path.
        shared = tuple(
            each is None or (each.shape[0] == 1 and (k < images or count > 1)) for k, each in enumerate(parts)
        )
        shape = None if latent.feature is None else latent.feature.shape[1:]
        rest = (shape, edit is None, noise is None, self._precision)
        kinds = [(shared, rest)]
        if count == 1:  # may also join a batch whose w+, and edits, are each sample's own
            kinds += [((False, *shared[1:]), rest), ((False, edit is None, *shared[2:]), rest)]
        kind = next((each for each in kinds if sizes.fit(each, count) != count), kinds[0])
        rows = sizes.fit(kind, count)
        wide = [each if each is None or one else widen(each, rows) for each, one in zip(parts, kind[0], strict=True)]
        call = partial(self._compiled()[1], *wide[:2], wide[2:images], *wide[images : images + 2], wide[images + 2 :])
        return self._first("generator", kind, rows, wplus, call)[:count].clone()

    def _first(self, part: str, kind: Hashable, rows: int, x: Tensor, call: Callable[[], T]) -> T:
        """`call`, with a word about it where it compiles."""
        sizes = self._sizes[part]
        before = sizes.spent
        new = sizes.add(kind, rows)
        if new:
            words = "compiling the %s for a new input size; later frames and later runs have it at once"
            log.info(words, part, extra={"status": f"compiling the {part}"})
        elif sizes.spent and not before:
            log.warning("compile: more than %d input sizes; the %s runs uncompiled for further ones", MOST_SIZES, part)
        started = time.perf_counter()
        try:
            if x.device.type == "cuda":
                torch.compiler.cudagraph_mark_step_begin()
            with arithmetic(self._precision, x.device):
                result = call()
        except TorchDynamoException as error:
            reason = " ".join(str(error).split()[:30])
            raise ModelError(f"compile: the {part} could not be compiled: {reason}", "leave --compile out") from error
        except Exception:  # such as too little memory: the next, smaller batch must not be filled up to this one
            sizes.forget(kind, rows)
            raise
        if new:
            log.info("compiled the %s in %.0f s", part, time.perf_counter() - started, extra={"status": ""})
        return result


def _own(tensor: Tensor | None, count: int) -> Tensor | None:
    """A copy of the first `count`: a CUDA graph writes its next result over this one."""
    return None if tensor is None else tensor[:count].clone()


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
