"""The encoder in tiles against the whole."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from models.config import SIZES
from models.tiled_encoder import content_tiled
from tests.golden.make_model_goldens import normal
from tests.models.memory import live_bytes
from tests.models.test_fast import KINDS, TINY, build

pytestmark = pytest.mark.usefixtures("one_thread")
DEEP = replace(TINY, body_units=(3, 2, 3, 1), num_skips=6)
"""As many blocks at H/2 as a full network has."""


def picture(config, height, width):
    return torch.tanh(normal("picture", (1, config.input_channels, height, width)))


@torch.no_grad()
@pytest.mark.parametrize("size", [(40, 24), (72, 104), (136, 120)], ids=str)
@pytest.mark.parametrize("config", [DEEP, KINDS["sketch"], KINDS["second layer"]], ids=["deep", "sketch", "rgb"])
def test_tiles_equal_the_whole(config, size):
    net = build(config)
    x1 = picture(config, *size)
    assert net.encoder is not None
    whole = net.encoder.content(x1)
    for tile in (1, 5) if size == (40, 24) else (5,):
        tiled = content_tiled(net.encoder, x1, tile)
        pairs = [(tiled.feature, whole.feature), *zip(tiled.skips, whole.skips, strict=True)]
        for one, other in pairs:
            torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_surroundings_are_needed(monkeypatch):
    net = build(DEEP)
    x1 = picture(DEEP, 72, 104)
    assert net.encoder is not None
    whole = net.encoder.content(x1)
    monkeypatch.setattr("models.tiling.Window.grown", lambda self, *_: self)
    assert (content_tiled(net.encoder, x1, 5).skips[-1] - whole.skips[-1]).abs().max() > 1e-3


@torch.no_grad()
def test_memory_beyond_the_content_is_the_tile():
    """What grows with the picture are the features that are given back and the few maps at H/4."""
    config = replace(SIZES["tiny"], body_widths=(24, 8, 8, 8))
    net = build(config)
    assert net.encoder is not None
    peaks, given = [], []
    for height in (128, 256):
        x1 = picture(config, height, 64)
        with live_bytes() as meter:
            content = content_tiled(net.encoder, x1, 4)
        given.append(4 * sum(part.numel() for part in (content.feature, *content.skips) if part is not None))
        peaks.append(meter.peak)
        del content
    with live_bytes() as meter:
        net.encoder.content(x1)
    quarter = 8 * 128 * 64 // 16 * 4  # a map of 8 channels at H/4
    assert peaks[1] - peaks[0] < given[1] - given[0] + 6 * quarter
    assert meter.peak > 2 * peaks[1]
