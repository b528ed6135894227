"""What every stage promises: it is lazy, keeps the order, loses nothing, closes its upstream, and can be used again."""

from typing import Any

import numpy as np
import pytest

from models.config import SIZES
from models.styleganex import StyleGANEX
from stages.codes import EncoderCodes
from stages.composite import Composite, CompositeConfig
from stages.content import Rgb
from stages.crop import Crop, CropConfig
from stages.edit import Edit
from stages.invert import Invert
from stages.pixels import PlaneLayout
from stages.recipe import Recipe
from stages.shots import Shots, ShotsConfig
from stages.style import Style, StyleConfig
from stages.synthesize import Synthesize
from stages.types import Frame
from stages.untouched import Untouched
from tests.stages.makers import COLOR, clip, face, face_frame, frame

COUNT = 7
LAYOUT = PlaneLayout.named("yuv444p")


@pytest.fixture(scope="module")
def chain():
    """Every stage in order, with the items that go into it."""
    net = StyleGANEX(SIZES["tiny"]).eval().requires_grad_(False)
    info = clip(64, 64)
    stages = [
        Style(StyleConfig(), EncoderCodes(net, Rgb(), 64.0)),
        Crop(CropConfig()),
        Invert(net, 3),
        Edit(Recipe()),
        Synthesize(net, 2),
        Composite(CompositeConfig(), (64, 64), LAYOUT, COLOR),
    ]
    items = [face_frame(i, i // 4, [face(i // 4, eye_distance=64.0)] if i != 2 else [], info) for i in range(COUNT)]
    frames = [frame(i) for i in range(COUNT)]
    pairs: list[tuple[Any, list[Any]]] = [(Shots(ShotsConfig()), frames)]
    pairs.append((Untouched(), list(pairs[0][0].stream(x for x in pairs[0][1]))))
    for stage in stages:
        pairs.append((stage, items))
        items = list(stage.stream(x for x in items))
    return {stage.name: (stage, inputs) for stage, inputs in pairs}


def index_of(item):
    for name in ("source", "face_frame", "cropped", "frame"):
        while hasattr(item, name) and not isinstance(item, Frame):
            item = getattr(item, name)
    while not isinstance(item, Frame):
        item = item.frame if hasattr(item, "frame") else item.face_frame
    return item.index


NAMES = ["shots", "untouched", "style", "crop", "invert", "edit", "synthesize", "composite"]


@pytest.mark.parametrize("name", NAMES)
def test_order_and_count(chain, name):
    stage, items = chain[name]
    assert [index_of(item) for item in stage.stream(x for x in items)] == list(range(COUNT))


@pytest.mark.parametrize("name", NAMES)
def test_lazy_within_its_look_ahead_and_closes_upstream(chain, name):
    stage, items = chain[name]
    pulled, closed = [], []

    def source():
        try:
            for item in items:
                pulled.append(item)
                yield item
        finally:
            closed.append(True)

    stream = stage.stream(source())
    assert not pulled
    next(stream)
    assert len(pulled) <= stage.lookahead + 1
    stream.close()
    assert closed == [True]


@pytest.mark.parametrize("name", NAMES)
def test_empty_stream_and_reuse(chain, name):
    stage, items = chain[name]
    assert list(stage.stream(x for x in ())) == []
    assert len(list(stage.stream(x for x in items))) == len(list(stage.stream(x for x in items))) == COUNT


def test_batches_do_not_change_a_bit(chain):
    net = chain["invert"][0]._net
    for items in (chain["invert"][1],):
        results = []
        for size in (1, 4):
            rendered = Synthesize(net, size).stream(Invert(net, size).stream(x for x in items))
            results.append([image.numpy() for item in rendered for image in item.images])
        assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))
        assert len(results[0]) == COUNT - 1
