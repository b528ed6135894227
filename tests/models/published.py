"""The published-format reference material beside the repository: deterministic weights, key lists, golden outputs."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from models.checkpoint import from_official
from models.official import to_official
from models.styleganex import StyleGANEX

SPEC = Path(__file__).resolve().parents[3] / "shared" / "spec"
SEED = "styleganex-golden-v1:"
KINDS = ("toonify", "edit", "sr", "sr_torgb", "sketch", "mask", "inversion")
needs_spec = pytest.mark.skipif(not SPEC.is_dir(), reason=f"reference material is not there: {SPEC}")


def fill_module() -> ModuleType:
    """The generator of weights and inputs, imported from where it lies."""
    spec = importlib.util.spec_from_file_location("styleganex_fill", SPEC / "fill.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def file_layout(kind: str) -> tuple[dict[str, tuple[list[int], str]], dict[str, Any]]:
    """({key: (shape, dtype)}, opts) of a published file."""
    layouts = json.loads((SPEC / "keys.json").read_text())
    keys = dict(layouts["toonify"]["state_dict"])
    for key in layouts[kind].get("minus", []):
        del keys[key]
    keys |= layouts[kind].get("plus", {})
    return {key: (shape, dtype) for key, (shape, dtype) in keys.items()}, layouts[kind]["opts"]


class FilledModels:
    """Published networks with the deterministic weights; kinds share the tensors that they have in common."""

    def __init__(self) -> None:
        self.fill = fill_module()
        self._tensors: dict[str, Tensor] = {}

    def load(self, kind: str) -> StyleGANEX:
        """Build one kind through the checkpoint reader."""
        layout, opts = file_layout(kind)
        state = {key: self._tensor(key, shape, dtype, layout) for key, (shape, dtype) in layout.items()}
        content = {
            "state_dict": state,
            "opts": opts,
            "latent_avg": torch.from_numpy(self.fill.latent_avg(SEED)),
            "editing_w": torch.from_numpy(self.fill.editing_w(SEED, 2)) if kind == "edit" else None,
        }
        return from_official(content)

    def _tensor(self, key: str, shape: list[int], dtype: str, layout: dict[str, Any]) -> Tensor:
        if key.rpartition(".")[2] in ("kernel", "blur_weight", "num_batches_tracked"):
            return torch.zeros(shape, dtype=getattr(torch, dtype))
        prefix = key.rpartition(".")[0]
        name = f"{key} {shape}"
        if name not in self._tensors:
            norms = frozenset({prefix} if f"{prefix}.running_var" in layout else ())
            values = self.fill.fill_array(key, tuple(shape), norms)(self.fill.normal(SEED, key, shape))
            self._tensors[name] = torch.from_numpy(values).reshape(shape)
        tensor = self._tensors[name]
        return tensor.clone() if ".running_" in key else tensor

    def input(self, kind: str, case: str) -> tuple[Tensor, Tensor | None]:
        """(x1, x2) of a golden case."""
        case = case.split(".")[0]
        height, width = (256, 256) if case == "a256" else (320, 192)
        if kind == "sketch":
            return torch.from_numpy(self.fill.sketch_image(SEED, f"x1.sketch.{case}", (1, 1, height, width))), None
        if kind == "mask":
            return torch.from_numpy(self.fill.onehot_mask(SEED, f"x1.mask.{case}", (1, 19, height, width))), None
        x1 = self.fill.smooth_image(SEED, f"x1.{case}", (1, 3, height, width))
        return torch.from_numpy(x1), torch.from_numpy(self.fill.smooth_image(SEED, f"x2.{case}", (1, 3, 256, 256)))


def published_shapes(net: StyleGANEX) -> dict[str, list[int]]:
    """{published key: shape} of what a network would write."""
    return {key: list(value.shape) for key, value in to_official(net.state_dict()).items()}
