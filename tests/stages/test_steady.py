"""steady: flicker along the motion goes, what moves stays sharp, nothing crosses cuts, and the window is finite."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from models.latent import Latent
from stages.layout import PlaneLayout
from stages.motion import LUMA, likeness, luma
from stages.pixels import ColorTags
from stages.steady import REPEATS, Steady, SteadyConfig, SteadyFeature
from stages.types import CroppedFace, CroppedFrame, CropWindow, EncodedFrame, RenderedFrame, StyleRef
from tests.stages.makers import clip, face, face_frame

WIDTH, HEIGHT = 96, 80
INFO = replace(clip(WIDTH, HEIGHT, "gbrp"), color=ColorTags(matrix=0, range=2))
WINDOW = CropWindow(1.0, 0.0, 0.0, WIDTH, HEIGHT, full=True)


def scene(shift: float, seed: int = 0) -> np.ndarray:
    """[H, W, 3]: smooth random texture, moved to the right by `shift` pixels."""
    texture = np.random.default_rng(seed).random((HEIGHT + 40, WIDTH + 40, 3)).astype(np.float32)
    texture = np.clip(0.5 + 3 * (cv2.GaussianBlur(texture, (0, 0), 2) - 0.5), 0, 1)
    matrix = np.array([[1.0, 0, shift - 20], [0, 1, -20]])
    return np.asarray(cv2.warpAffine(texture, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC), np.float32)


def rendered(index, picture, drawn, shot=0, track=0, window=WINDOW):
    frame = face_frame(index, shot, [face(track, (48.0, 40.0), 24.0)], INFO, np.clip(picture, 0, 1))
    image = torch.from_numpy(np.ascontiguousarray(drawn.transpose(2, 0, 1)) * 2 - 1)
    return RenderedFrame(frame, (window,), (image,))


def moving(count=9, speed=1.3, noise=0.08, shot=0, first=0):
    """A texture that moves, drawn with an error of its own in each frame."""
    items, clean = [], []
    for k in range(first, first + count):
        picture = scene(speed * k, seed=shot)
        error = np.random.default_rng(100 + k).normal(0, noise, picture.shape).astype(np.float32)
        items.append(rendered(k, picture, picture + error, shot))
        clean.append(torch.from_numpy(picture.transpose(2, 0, 1)) * 2 - 1)
    return items, clean


def steadied(items, **config):
    strength = config.pop("strength", 1.0)
    return list(Steady(SteadyConfig(**config), strength).stream(x for x in items))


def error(image, clean):
    return float((image - clean)[:, 10:-10, 14:-14].square().mean().sqrt())


def test_errors_of_single_frames_go_and_the_moving_texture_stays():
    items, clean = moving()
    out = steadied(items)
    assert [o.face_frame for o in out] == [i.face_frame for i in items]
    for k in range(2, 7):
        assert error(out[k].images[0], clean[k]) < 0.62 * error(items[k].images[0], clean[k])


def test_off_is_off_and_a_lone_frame_is_left_alone():
    items, _ = moving(3)
    assert all(a is b for a, b in zip(steadied(items, strength=0.0), items, strict=True))
    (alone,) = steadied(items[:1])
    assert torch.equal(alone.images[0], items[0].images[0])
    assert Steady(SteadyConfig(), 0.0).lookahead == 0
    assert Steady(SteadyConfig(window=3), 0.5).lookahead == 3 + REPEATS


def test_cut_in_two_is_whole_away_from_the_ends():
    """The window is finite: with `window` frames more on each side, a part equals the whole."""
    items, _ = moving(10)
    whole = steadied(items, window=2)
    part = steadied(items[2:9], window=2)
    for k in range(4, 7):
        assert torch.equal(whole[k].images[0], part[k - 2].images[0])
    assert not torch.equal(whole[2].images[0], part[0].images[0])


def test_nothing_crosses_a_cut_or_goes_to_another_face():
    first, second = moving(4)[0], moving(4, shot=1, first=4)[0]
    together = steadied([*first, *second])
    apart = [*steadied(first), *steadied(second)]
    assert all(torch.equal(a.images[0], b.images[0]) for a, b in zip(together, apart, strict=True))
    a, b = rendered(0, scene(0), scene(0), track=0), rendered(1, scene(0), scene(0) * 0.5, track=1)
    assert torch.equal(steadied([a, b])[0].images[0], a.images[0])


def test_what_is_uncovered_is_not_ghosted():
    """A bright square jumps by more than its size: its old place must not shine through."""
    items = []
    for k in range(5):
        picture = scene(0.0) * 0.6
        left = 10 + 16 * k
        picture[30:42, left : left + 12] = 1.0
        items.append(rendered(k, picture, picture))
    for before, after in zip(items, steadied(items), strict=True):
        change = (after.images[0] - before.images[0]).abs()
        assert float(change.mean()) < 0.01
        assert float(torch.quantile(change, 0.99)) < 0.12


def test_frames_without_a_face_or_of_another_size_pass_between():
    items, _ = moving(5)
    empty = RenderedFrame(face_frame(2, 0, [], INFO), (), ())
    other = rendered(3, scene(0), scene(0)[:64], window=CropWindow(1.0, 0.0, 0.0, WIDTH, 64, full=False))
    out = steadied([items[0], items[1], empty, other, items[4]])
    assert out[2].images == ()
    assert torch.equal(out[3].images[0], other.images[0])
    assert not torch.equal(out[0].images[0], items[0].images[0])


def test_repeats_are_mixed_alike_and_stills_not_at_all():
    items, _ = moving(6)
    doubled = [replace_frame(item, 2 * k + copy) for k, item in enumerate(items) for copy in range(2)]
    out = [item.images[0] for item in steadied(doubled)]
    for k in range(6):
        assert torch.equal(out[2 * k], out[2 * k + 1])
        assert not torch.equal(out[2 * k], items[k].images[0])
    still = [replace_frame(items[0], k) for k in range(REPEATS + 2)]
    mixed = steadied([*still, *(replace_frame(item, 10 + k) for k, item in enumerate(items[1:]))])
    assert all(torch.equal(item.images[0], items[0].images[0]) for item in mixed[: len(still)])
    assert not torch.equal(mixed[len(still)].images[0], items[1].images[0])


def test_cut_in_two_is_whole_where_frames_repeat_too():
    """`reach` frames more on each side suffice, wherever the cut falls among copies and stills."""
    moments = [0, 0, 1, 1, 1, 2, 3, 3, 3, 3, 3, 4, 5, 5, 6, 7, 7, 7]
    made = moving(8)[0]
    items = [replace_frame(made[moment], k) for k, moment in enumerate(moments)]
    whole = [item.images[0] for item in steadied(items)]
    reach = SteadyConfig().reach
    for k in range(len(items)):
        first = max(k - reach, 0)
        part = steadied(items[first : k + reach + 1])
        assert torch.equal(part[k - first].images[0], whole[k])


def replace_frame(item, index):
    frame = replace(item.face_frame.frame, index=index)
    return replace(item, face_frame=replace(item.face_frame, frame=frame))


def test_the_feature_is_filtered_with_its_rgb():
    """f is a texture that moves by a cell and a third each frame, drawn with an error of its own."""
    items, clean = moving(9)
    encoded = [as_feature(item) for item in items]
    out = list(SteadyFeature(SteadyConfig(), 1.0).stream(x for x in encoded))
    for k in range(2, 7):
        latent, before = out[k].latents[0], encoded[k].latents[0]
        for after, own in ((latent.feature, before.feature), (latent.feature_rgb, before.feature_rgb)):
            assert after is not None
            assert own is not None
            assert after.shape == own.shape
            assert error(after[0], clean[k]) < 0.7 * error(own[0], clean[k])
        assert latent.wplus is before.wplus


def as_feature(item):
    image = item.images[0][None]
    style = StyleRef((0, 0), torch.zeros(1, 4, 8))
    crop = CroppedFace(item.face_frame.faces[0], style, WINDOW, image[0])
    latent = Latent(torch.zeros(1, 4, 8), feature=image, feature_rgb=image.clone())
    return EncodedFrame(CroppedFrame(item.face_frame, (crop,)), (latent,))


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le", "gray", "gbrp"])
@pytest.mark.parametrize("rotation", [0, 90])
def test_luma_is_that_of_the_picture(pix_fmt, rotation):
    info = replace(clip(64, 48, pix_fmt), color=ColorTags(matrix=0 if pix_fmt == "gbrp" else 1, range=1))
    layout = PlaneLayout.named(pix_fmt)
    rng, shapes = np.random.default_rng(0), [layout.plane_shape(k, 48, 64) for k in range(layout.num_planes)]
    low, high = (16 << (layout.bits - 8)), (235 << (layout.bits - 8))
    planes = tuple(rng.integers(low, high, shape).astype(layout.dtype) for shape in shapes)
    frame = replace(face_frame(0, 0, [], info).frame, planes=planes, layout=layout, color=info.color, rotation=rotation)
    assert luma(frame) == pytest.approx(frame.rgb() @ LUMA, abs=2e-3)


def test_likeness_is_one_for_the_same_and_zero_where_flows_disagree():
    grey = (scene(0).mean(-1) * 255).astype(np.uint8)
    still = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    assert likeness(grey, grey, still, still) == pytest.approx(1.0)
    off = still.copy()
    off[20:40, 20:40] = 5.0
    assert likeness(grey, grey, off, still)[22:38, 22:38].max() == 0
    assert likeness(grey, 255 - grey, still, still).mean() < 0.2
