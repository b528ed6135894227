"""Latents kept on the way, and rendered from what was kept: the same bits, or a clear no."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

from models.errors import LatentError
from models.latent_file import LatentFrame, load_latents, save_latents
from models.optimize import Schedule, optimize
from models.perceptual import MultiscaleDistance
from models.styleganex import StyleGANEX
from stages.invert import Invert
from stages.latents import FromLatents, SaveLatents, latent_info, stored_window
from stages.synthesize import Synthesize
from stages.types import CroppedFace, CroppedFrame, CropWindow, EncodedFrame, StyleRef
from tests.golden.make_model_goldens import TINY, fill, normal
from tests.stages.makers import clip, face, face_frame

SMALL = replace(TINY, resolution=256, num_skips=3)
CLIP = clip(64, 48)
INFO = latent_info(CLIP, "tiny", "ab" * 32, "f00d")
COUNT = 5


@pytest.fixture(scope="module")
def net() -> StyleGANEX:
    return fill(StyleGANEX(SMALL)).eval().requires_grad_(False)


def cropped(index: int, style: str = "a", first_track: int = 0, shift: float = 0.0) -> CroppedFrame:
    """Frame 2 has no face, frame 3 has two; `style` names the w+."""
    count = {2: 0, 3: 2}.get(index, 1)
    faces = [face(first_track + k, (20.0 + 24 * k, 24.0 + index), 10.0) for k in range(count)]
    crops = tuple(
        CroppedFace(
            each,
            StyleRef((0, k), normal(f"style.{style}.{k}", (1, SMALL.num_styles, SMALL.style_dim))),
            CropWindow(1.3, 0.1 * index + shift, -3.0, 48, 40, full=False),
            np.tanh(normal(f"window.{index}.{k}", (3, 40, 48)).numpy()),
        )
        for k, each in enumerate(faces)
    )
    return CroppedFrame(face_frame(index, index // 3, faces, CLIP), crops)


def encoded(net, **kind) -> list[EncodedFrame]:
    return list(Invert(net, 2).stream(cropped(i, **kind) for i in range(COUNT)))


def pictures(net, items) -> list[torch.Tensor]:
    return [image for item in Synthesize(net, 2).stream(x for x in items) for image in item.images]


def stepped(net, items: list[EncodedFrame]) -> list[EncodedFrame]:
    """Step II, two steps."""
    changed = []
    for item in items:
        results = [
            optimize(net, torch.from_numpy(c.image)[None], x, MultiscaleDistance(), Schedule(steps=2, warm_steps=1))
            for c, x in zip(item.cropped.crops, item.latents, strict=True)
        ]
        changed.append(
            replace(item, latents=tuple(r.latent for r in results), noises=tuple(r.noise or () for r in results))
        )
    return changed


def same(a, b) -> bool:
    return len(a) == len(b) and all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def record(path, items, keep=()):
    return list(SaveLatents(path, INFO, keep).stream(x for x in items))


@pytest.mark.parametrize("keep", [(), ("feature",), ("feature", "skips")], ids=["w", "w f", "all"])
def test_render_of_what_was_kept_is_the_direct_render(tmp_path, net, keep):
    items = encoded(net)
    direct = pictures(net, record(tmp_path / "a.safetensors", items, keep))
    other = encoded(net, style="b", first_track=9)  # another run: other w+, other track numbers
    assert not same(pictures(net, other), direct)
    with load_latents(tmp_path / "a.safetensors", SMALL) as latents:
        again = list(FromLatents(latents).stream(x for x in other))
    assert same(pictures(net, again), direct)


def test_step_two_comes_back_to_the_bit(tmp_path, net):
    direct = pictures(net, record(tmp_path / "a.safetensors", stepped(net, encoded(net)), ("feature", "noise")))
    assert not same(pictures(net, encoded(net)), direct)
    with load_latents(tmp_path / "a.safetensors", SMALL) as latents:
        again = list(FromLatents(latents).stream(x for x in encoded(net, style="b")))
    assert same(pictures(net, again), direct)


def test_frames_pass_one_by_one_with_their_times(tmp_path, net):
    items, pulled = encoded(net), []
    target = tmp_path / "a.safetensors"

    def source():
        for item in items:
            pulled.append(item)
            yield item

    stream = SaveLatents(target, INFO).stream(source())
    assert next(stream) is items[0]
    assert len(pulled) == 1
    assert not target.exists()
    assert list(stream) == items[1:]
    with load_latents(target, SMALL) as latents:
        frames = list(latents)
        assert latents.info == INFO
        assert latents.info.time_base == Fraction(1, 25)
        assert [(f.index, f.pts, f.shot, len(f.faces)) for f in frames] == [
            (i, i, i // 3, {2: 0, 3: 2}.get(i, 1)) for i in range(COUNT)
        ]
        kept = frames[3].faces[1]
        assert stored_window(kept) == items[3].cropped.crops[1].window
        assert np.array_equal(kept.geometry["landmarks"], items[3].cropped.crops[1].face.landmarks)


def test_leaving_early_leaves_no_file(tmp_path, net):
    closed = []

    def source():
        try:
            yield from encoded(net)
        finally:
            closed.append(True)

    stream = SaveLatents(tmp_path / "a.safetensors", INFO).stream(source())
    next(stream)
    stream.close()
    assert closed == [True]
    assert list(tmp_path.iterdir()) == []


def test_one_wplus_for_every_face(tmp_path, net):
    wplus = normal("one", (SMALL.num_styles, SMALL.style_dim))
    torch.save(wplus, tmp_path / "w.pt")
    items = encoded(net)
    with load_latents(tmp_path / "w.pt", SMALL) as latents:
        again = list(FromLatents(latents).stream(x for x in items))
    assert [len(item.latents) for item in again] == [len(item.latents) for item in items]
    for item, old in zip(again, items, strict=True):
        for latent, before in zip(item.latents, old.latents, strict=True):
            assert torch.equal(latent.wplus[0], wplus)
            assert latent.feature is before.feature
    assert again[0].latents[0].wplus is again[1].latents[0].wplus  # one tensor while it does not change


def test_what_does_not_belong_is_refused(tmp_path, net):
    target = tmp_path / "a.safetensors"
    record(target, encoded(net), ("feature",))

    def render(items, path=target):
        with load_latents(path, SMALL) as latents:
            return list(FromLatents(latents).stream(x for x in items))

    assert len(render(encoded(net))) == COUNT
    with pytest.raises(LatentError, match="frame 0: what the file has of it belongs to another window"):
        render(encoded(net, shift=1.0))
    moved = cropped(0)
    far = replace(moved, crops=(replace(moved.crops[0], face=face(0, (60.0, 24.0), 10.0)),))
    with pytest.raises(LatentError, match="a face that the file does not have"):
        render(Invert(net, 1).stream(x for x in [far]))
    late = cropped(1)
    late = replace(late, face_frame=replace(late.face_frame, frame=replace(late.face_frame.frame, pts=7)))
    with pytest.raises(LatentError, match=r"comes at 0\.280 s, and was recorded at 0\.040 s") as error:
        render(Invert(net, 1).stream(x for x in [late]))
    assert "made.mp4" in error.value.remedy
    with pytest.raises(LatentError, match="no latents for frame 5"):
        render(Invert(net, 1).stream(x for x in [cropped(5)]))
    save_latents(tmp_path / "none.safetensors", [LatentFrame(0, 0, ())])
    with pytest.raises(LatentError, match=r"1 here, 0 in it"):
        render(encoded(net)[:1], tmp_path / "none.safetensors")
