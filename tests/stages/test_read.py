"""Reading real files: exact times, samples as coded, and every kind of damage by its policy."""

import gc
import itertools
import logging
import os
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from stages.errors import MediaError
from stages.media_probe import probe
from stages.pixels import ColorTags
from stages.read import Read, ReadConfig
from tests.helpers import decode_all, frames_of, moving, write_clip

T30000 = Fraction(1, 30000)


def flip_bytes(source: Path, target: Path) -> Path:
    data = bytearray(source.read_bytes())
    for start in range(len(data) // 3, len(data) - 2000, len(data) // 12):
        for at in range(start, start + 60):
            data[at] ^= 0x5A
    target.write_bytes(data)
    return target


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_times_are_the_files_own(tmp_path):
    pts = [12345, 13346, 14347, 18000, 18500, 20000]
    clip = write_clip(tmp_path / "vfr.mp4", moving(6), time_base=T30000, pts=pts, last_duration=9000)
    frames = frames_of(clip)
    assert frames[0].clip.time_base == T30000
    assert [f.pts for f in frames] == pts
    assert [f.duration for f in frames[:-1]] == [b - a for a, b in itertools.pairwise(pts)]
    assert [f.index for f in frames] == list(range(6))
    assert not any(f.corrupt for f in frames)


def test_samples_are_as_coded(tmp_path):
    clip = write_clip(tmp_path / "a.mkv", moving(3, 33, 21), codec="ffv1", pix_fmt="yuv422p10le")
    with av.open(str(clip)) as container:
        for frame, decoded in zip(frames_of(clip), container.decode(video=0), strict=True):
            assert frame.layout.pix_fmt == "yuv422p10le"
            assert [p.shape for p in frame.planes] == [(21, 33), (21, 17), (21, 17)]
            for ours, theirs in zip(frame.planes, decoded.planes, strict=True):
                raw = np.frombuffer(memoryview(theirs), np.uint16).reshape(theirs.height, -1)[:, : theirs.width]
                assert np.array_equal(ours, raw)


def test_rgb_agrees_with_the_pictures_that_went_in(tmp_path):
    pictures = moving(2, 64, 48)
    for pix_fmt, matrix in (("yuv444p", 1), ("yuv444p", 9), ("gbrp10le", 0), ("yuv444p10le", 6)):
        tags = ColorTags(matrix, 1 if matrix else 2, 1, 1)
        clip = write_clip(tmp_path / "c.mkv", pictures, codec="ffv1", pix_fmt=pix_fmt, color=tags)
        for picture, frame in zip(pictures, frames_of(clip), strict=True):
            assert np.abs(picture.astype(int) - frame.rgb8()).max() <= 2


def test_untagged_clips_are_guessed_by_size(tmp_path):
    small = probe(write_clip(tmp_path / "s.mp4", moving(1), color=ColorTags()))
    large = probe(write_clip(tmp_path / "l.mp4", moving(1, 1280, 64), color=ColorTags()))
    tagged = probe(write_clip(tmp_path / "t.mp4", moving(1)))
    assert (small.color.matrix, small.color.range, small.color_guessed) == (6, 1, True)
    assert (large.color.matrix, large.color_guessed) == (1, True)
    assert (tagged.color.matrix, tagged.color_guessed) == (1, False)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotated_clips_stand_upright(tmp_path, rotation):
    clip = write_clip(tmp_path / "r.mp4", moving(2, 64, 48), rotation=rotation)
    info = probe(clip)
    assert (info.width, info.height, info.rotation) == (64, 48, rotation)
    for coded, frame in zip(decode_all(clip), frames_of(clip), strict=True):
        upright = np.rot90(coded, rotation // 90)
        assert upright.shape[1::-1] == info.upright_size
        assert np.abs(frame.rgb8().astype(int) - upright).mean() < 2


def test_ranges_count_frames_and_keep_their_numbers(tmp_path):
    clip = write_clip(tmp_path / "a.mp4", moving(30), options={"bf": "3", "g": "8"})
    whole = frames_of(clip)
    part = frames_of(clip, start=11, end=19)
    assert [f.index for f in part] == list(range(11, 19))
    for frame in part:
        assert (frame.pts, frame.duration) == (whole[frame.index].pts, whole[frame.index].duration)
        assert np.array_equal(frame.planes[0], whole[frame.index].planes[0])
    assert len(frames_of(clip, start=28, end=99)) == 2
    with pytest.raises(MediaError, match="no frame 30: the clip has 30 frames"):
        frames_of(clip, start=30)
    with pytest.raises(ValueError, match="must be above start"):
        ReadConfig(start=3, end=3)


def test_threads_do_not_change_a_sample(tmp_path):
    clip = write_clip(tmp_path / "a.mp4", moving(20), options={"bf": "3"})
    for a, b in zip(frames_of(clip, threads=1), frames_of(clip, threads=8), strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a.planes, b.planes, strict=True))


def test_missing_times_are_made_from_the_rate(tmp_path):
    frames = frames_of(write_clip(tmp_path / "raw.h264", moving(10), rate=24))
    seconds = [f.pts * f.clip.time_base for f in frames]
    step = 1 / frames[0].clip.rate
    assert len(frames) == 10
    assert all(abs((b - a) - step) <= frames[0].clip.time_base for a, b in itertools.pairwise(seconds))


def test_damage_by_policy(tmp_path, caplog):
    whole = write_clip(tmp_path / "a.mp4", moving(120, 160, 120), options={"g": "20", "crf": "20"})
    damaged = flip_bytes(whole, tmp_path / "b.mp4")
    with pytest.raises(MediaError, match="damaged at frame") as caught:
        frames_of(damaged)
    assert "read.on_corrupt" in caught.value.remedy
    with caplog.at_level(logging.WARNING):
        repeated = frames_of(damaged, on_corrupt="repeat")
    assert [f.pts for f in repeated] == [f.pts for f in frames_of(whole)]
    assert [f.index for f in repeated] == list(range(120))
    assert any(f.corrupt for f in repeated)
    assert "decoder complained" in caplog.text
    skipped = frames_of(damaged, on_corrupt="skip")
    assert {f.pts for f in skipped} <= {f.pts for f in repeated}


def test_lost_packets_are_repeated_in_place(tmp_path, caplog):
    """Every picture of an intra-only clip whose packet is garbage must be replaced by the one before it."""
    whole = write_clip(tmp_path / "a.mov", moving(12), codec="prores_ks", pix_fmt="yuv422p10le")
    data = bytearray(whole.read_bytes())
    with av.open(str(whole)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
    for number in (0, 5, 6):
        position, size = packets[number].pos, packets[number].size
        assert position is not None
        data[position : position + size] = bytes(size)
    (tmp_path / "b.mov").write_bytes(data)
    with pytest.raises(MediaError, match="damaged at frame 0"):
        frames_of(tmp_path / "b.mov")
    whole_frames, frames = frames_of(whole), frames_of(tmp_path / "b.mov", on_corrupt="repeat")
    assert [f.pts for f in frames] == [f.pts for f in whole_frames]
    assert [f.index for f in frames if f.corrupt] == [0, 5, 6]
    for number, shown in ((0, 1), (4, 4), (5, 4), (6, 4), (7, 7)):
        assert np.array_equal(frames[number].planes[0], whole_frames[shown].planes[0])
    assert "3 lost frames" in caplog.text
    assert [f.index for f in frames_of(tmp_path / "b.mov", on_corrupt="skip")] == [1, 2, 3, 4, 7, 8, 9, 10, 11]


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_a_file_cut_short_is_noticed(tmp_path, name, caplog):
    source = write_clip(tmp_path / name, moving(120, 160, 120), options={"g": "20"}, sound=True)
    if name.endswith("mp4"):  # the index in front, as on the web
        front = tmp_path / "front.mp4"
        with av.open(str(source)) as a, av.open(str(front), "w", container_options={"movflags": "faststart"}) as b:
            target = b.add_stream_from_template(a.streams.video[0])
            for packet in a.demux(video=0):
                if packet.size:
                    packet.stream = target
                    b.mux(packet)
        source = front
    assert len(frames_of(source)) == 120
    cut = tmp_path / f"cut{source.suffix}"
    cut.write_bytes(source.read_bytes()[: source.stat().st_size * 6 // 10])
    with pytest.raises(MediaError, match=r"cut\.(mkv|mp4): (the file is cut short|damaged)"):
        frames_of(cut)
    got = frames_of(cut, on_corrupt="repeat")
    assert 40 < len(got) < 110
    assert "cut short" in caplog.text


def test_a_change_of_size_names_the_frame(tmp_path):
    parts = [write_clip(tmp_path / f"{w}.ts", moving(6, w, 48)).read_bytes() for w in (64, 96)]
    (tmp_path / "both.ts").write_bytes(b"".join(parts))
    with pytest.raises(MediaError, match=r"frame 6 is 96x48 yuv420p, the first one 64x48"):
        frames_of(tmp_path / "both.ts", on_corrupt="repeat")


def test_images_and_sequences(tmp_path):
    picture = moving(1, 40, 30)[0]
    deep = (picture.astype(np.uint16) << 8) | np.arange(40, dtype=np.uint16)[None, :, None]
    cv2.imwrite(str(tmp_path / "deep.png"), deep[..., ::-1])
    (frame,) = frames_of(tmp_path / "deep.png")
    assert (frame.layout.pix_fmt, frame.pts, frame.duration, frame.clip.kind) == ("gbrp16le", 0, 1, "image")
    assert np.array_equal(np.dstack([frame.planes[2], frame.planes[0], frame.planes[1]]), deep)
    folder = tmp_path / "shots"
    folder.mkdir()
    for number in (1, 2, 10):
        cv2.imwrite(str(folder / f"s{number}.png"), np.full((8, 8, 3), number, np.uint8))
    (folder / "notes.txt").write_text("no image")
    frames = frames_of(folder)
    assert [f.name for f in frames] == ["s1.png", "s2.png", "s10.png"]
    assert [(f.pts, f.index, f.clip.time_base) for f in frames] == [(i, i, Fraction(1, 25)) for i in range(3)]
    assert [int(f.planes[0][0, 0]) for f in frames] == [1, 2, 10]
    assert [f.name for f in frames_of(folder / "s*.png")] == ["s1.png", "s2.png", "s10.png"]
    assert probe(folder, Fraction(24000, 1001)).rate == Fraction(24000, 1001)
    with pytest.raises(MediaError, match=r"s3\.png is missing between 1 and 10"):
        frames_of(folder / "s%d.png")
    cv2.imwrite(str(folder / "s11.png"), np.zeros((8, 9, 3), np.uint8))
    with pytest.raises(MediaError, match=r"frame 3 \(s11.png\) is 9x8"):
        frames_of(folder)


def test_palette_grey_and_alpha_images(tmp_path):
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    cv2.imwrite(str(tmp_path / "grey.png"), grey)
    (frame,) = frames_of(tmp_path / "grey.png")
    assert np.array_equal(frame.rgb8()[..., 1], grey)
    cv2.imwrite(str(tmp_path / "alpha.png"), np.dstack([grey] * 3 + [255 - grey]))
    (frame,) = frames_of(tmp_path / "alpha.png")
    assert frame.layout.has_alpha
    assert np.array_equal(frame.planes[3], 255 - grey)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: None, "no such file"),
        (lambda p: p.mkdir(), "holds no image"),
        (lambda p: p.write_text("hello " * 99), "cannot be read"),
        (lambda p: p.touch(), "is empty"),
        (lambda p: p.write_bytes(bytes(range(256)) * 64), "cannot be read"),
    ],
    ids=["missing", "empty folder", "text", "zero", "random"],
)
def test_bad_input_says_what_and_the_remedy(tmp_path, make, words):
    path = tmp_path / "x.mp4"
    make(path)
    with pytest.raises(MediaError, match=words) as caught:
        probe(path)
    assert str(path) in caught.value.what
    assert "\n" not in caught.value.what + caught.value.remedy
    assert caught.value.remedy


def test_sound_only_and_missing_index(tmp_path, sample_clip):
    from tests.helpers import write_audio

    with pytest.raises(MediaError, match="only sound"):
        probe(write_audio(tmp_path / "a.mp4"))
    data = sample_clip.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    with pytest.raises(MediaError, match="cannot be read"):
        probe(tmp_path / "cut.mp4")


def test_lazy_and_leaves_nothing_open(tmp_path):
    clip = write_clip(tmp_path / "a.mp4", moving(60))
    info = probe(clip)
    gc.collect()
    before = open_files()
    frames = Read(ReadConfig(), info).stream()
    assert open_files() == before  # nothing is opened until the first frame is asked for
    next(frames)
    frames.close()
    gc.collect()
    assert open_files() == before
    with pytest.raises(MediaError):
        frames_of(clip, start=99)
    gc.collect()
    assert open_files() == before
