"""The whole pipeline on real clips: real codec, real detector, the embedded model."""

import gc
import itertools
import json
import threading
import weakref

import av
import cv2
import numpy as np
import pytest
import torch

from models.refine import Refinement, save_refine
from pipeline import load_config, render, stream
from pipeline.resources import Loader
from stages.errors import NoFaceError
from stages.types import Frame
from tests.helpers import decode_all, write_clip


@pytest.fixture(scope="module")
def loader():
    return Loader()


def settings(**overrides):
    return load_config(None, {"report.preview_frames": 0} | {k.replace("__", "."): v for k, v in overrides.items()})


def images(source, loader, **overrides):
    return [f.image for f in stream(source, config=settings(**overrides), loader=loader)]


def test_toonify_keeps_count_pts_size_sound_and_writes_a_report(sample_clip, tmp_path, loader):
    output = tmp_path / "out.mp4"
    report = render(sample_clip, output, task="toonify", config=settings(report__preview_frames=3), loader=loader)
    assert report.frames == report.rendered == 48
    with av.open(str(sample_clip)) as before, av.open(str(output)) as after:
        x, y = before.streams.video[0], after.streams.video[0]
        assert (x.width, x.height, x.time_base) == (y.width, y.height, y.time_base)
        assert [p.pts for p in before.decode(x)] == [p.pts for p in after.decode(y)]
    with av.open(str(sample_clip)) as before, av.open(str(output)) as after:
        sounds = [[bytes(p) for p in c.demux(c.streams.audio[0]) if p.size] for c in (before, after)]
        assert sounds[0] == sounds[1]
    page = (tmp_path / "out.mp4.report.md").read_text()
    data = json.loads((tmp_path / "out.mp4.report.json").read_text())
    assert "demonstration model" in page
    assert "models fetch" in page
    assert data["model"]["sha256"] == (report.model or {})["sha256"]
    assert data["shots"][0]["rendered"] == 48
    assert {s["name"] for s in data["stages"]} >= {"read", "track", "invert", "edit", "synthesize", "write"}
    assert (tmp_path / "out.mp4.preview.png").stat().st_size > 10_000
    change = np.abs(np.asarray(decode_all(output), np.float32) - np.asarray(decode_all(sample_clip), np.float32))
    assert 4 < change.mean() < 60  # plainly changed, not destroyed


def test_threads_and_batches_do_not_change_a_bit(sample_clip, loader):
    reference = images(sample_clip, loader, read__end=10, buffers__crop=0, buffers__synthesize=0)
    assert len(reference) == 10
    one_queue = {"buffers__crop": 1, "buffers__synthesize": 1}
    workers = ({"threads": 1}, {"threads": 3}, {"threads": 4, "batch_size": 3}, {"threads": 2, "workers": 2})
    for overrides in ({}, one_queue, {"batch_size": 4}, {"batch_size": 3}, *workers):
        other = images(sample_clip, loader, read__end=10, **overrides)
        assert all((a == b).all() for a, b in zip(reference, other, strict=True)), overrides


def test_a_still_repeated_gives_identical_frames(portrait, tmp_path, loader):
    clip = write_clip(tmp_path / "still.mkv", [portrait[:336, 40:440]] * 30, codec="ffv1")
    first, *rest = images(clip, loader)
    assert len(rest) == 29
    assert all((first == other).all() for other in rest)


def test_task_none_gives_back_every_sample(sample_clip, tmp_path):
    output = tmp_path / "same.mkv"
    render(sample_clip, output, task="none", config=settings(write__codec="ffv1"))
    assert all((a == b).all() for a, b in zip(decode_all(sample_clip), decode_all(output), strict=True))


def test_live_frames_do_not_grow_with_the_clip(tmp_path, monkeypatch):
    peaks = []
    for count in (50, 1000):
        clip = write_clip(tmp_path / f"{count}.mp4", itertools.repeat(np.zeros((32, 32, 3), np.uint8), count))
        alive, peak = weakref.WeakSet(), 0
        made = Frame.__init__

        def counted(self, *args, made=made, alive=alive, **kwargs):
            made(self, *args, **kwargs)
            alive.add(self)

        with monkeypatch.context() as patch:
            patch.setattr(Frame, "__init__", counted)
            for _ in stream(clip, task="none"):
                peak = max(peak, len(alive))
        gc.collect()
        peaks.append(peak)
    assert peaks[0] > 0
    assert peaks[1] <= peaks[0] + 2


def test_early_break_leaves_no_thread(sample_clip, loader):
    for _ in (frames := stream(sample_clip, loader=loader)):
        break
    frames.close()
    assert not [t for t in threading.enumerate() if t.name == "prefetch"]


@pytest.mark.parametrize("stage", ["track.Track", "invert.Invert", "composite.Composite"])
def test_an_error_in_any_stage_names_it_and_leaves_nothing(sample_clip, tmp_path, loader, monkeypatch, stage):
    module, name = stage.split(".")
    cls = getattr(__import__("pipeline.wire", fromlist=[name]), name)

    whole = cls.stream

    def broken(self, items):
        for count, item in enumerate(whole(self, items)):
            if count == 5:
                raise RuntimeError("injected")
            yield item

    monkeypatch.setattr(cls, "stream", broken)
    with pytest.raises(RuntimeError, match="injected") as caught:
        render(sample_clip, tmp_path / "out.mp4", config=settings(), loader=loader)
    assert any(f"stage {module}" in note for note in caught.value.__notes__)
    assert not list(tmp_path.iterdir())
    assert not [t for t in threading.enumerate() if t.name == "prefetch"]


def test_no_face_policies(tmp_path, loader):
    clip = write_clip(tmp_path / "wall.mp4", [np.full((96, 128, 3), 90, np.uint8)] * 8)
    report = render(clip, tmp_path / "out.mp4", config=settings(), loader=loader)
    assert (report.frames, report.rendered) == (8, 0)
    assert report.decisions == {"passed": [[0, 7]]}
    assert report.warnings
    with pytest.raises(NoFaceError):
        render(clip, tmp_path / "fail.mp4", config=settings(track__no_face="fail"), loader=loader)
    assert not (tmp_path / "fail.mp4").exists()


def test_ranges_sizes_and_single_images(sample_clip, portrait, tmp_path, loader):
    report = render(sample_clip, tmp_path / "part.mp4", config=settings(read__start=4, read__end=9), loader=loader)
    assert report.frames == 5
    render(sample_clip, tmp_path / "big.mp4", config=settings(read__end=2, composite__size="640x480"), loader=loader)
    assert decode_all(tmp_path / "big.mp4")[0].shape == (480, 640, 3)
    cv2.imwrite(str(tmp_path / "face.png"), portrait[:256, 96:352, ::-1])
    report = render(tmp_path / "face.png", tmp_path / "toon.png", config=settings(), loader=loader)
    assert (report.frames, report.rendered) == (1, 1)
    assert np.asarray(cv2.imread(str(tmp_path / "toon.png"))).shape == (256, 256, 3)


def test_tokens_are_laid_over_the_model(sample_clip, loader, tmp_path):
    net = loader.load(settings()).model.net
    tokens = Refinement(net, rank=1)
    save_refine(tokens.tokens(), tmp_path / "none.safetensors")
    with torch.no_grad():
        for parameter in tokens.parameters():
            parameter.normal_(generator=torch.Generator().manual_seed(0))
    save_refine(tokens.tokens(), tmp_path / "some.safetensors")
    config = settings(read__end=1)
    plain, same, other = (
        next(iter(stream(sample_clip, config=config, overrides={"refine": path} if path else {}))).image
        for path in (None, tmp_path / "none.safetensors", tmp_path / "some.safetensors")
    )
    assert np.array_equal(plain, same)
    assert not np.array_equal(plain, other)
