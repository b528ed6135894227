"""Writing real files: the source's times, sound and tags; samples that were not touched; nothing half-written."""

import errno
import gc
import itertools
import logging
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import torch

from stages.encoding import choose
from stages.errors import MediaError
from stages.media_probe import probe
from stages.pixels import ColorTags
from stages.read import ReadConfig
from stages.write import Write, WriteConfig, choose_encoding
from tests.helpers import copy_clip, finished, frames_of, moving, payloads, timing, write_clip

T30000 = Fraction(1, 30000)
HDR = ColorTags(9, 1, 9, 16, 1)


def picture(path: Path) -> np.ndarray:
    """As stored: blue, green, red, of the file's own depth."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image is not None, path
    return image


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_times_sound_subtitles_and_the_rest_are_the_sources(rich, tmp_path, suffix):
    output = copy_clip(rich, tmp_path / f"out{suffix}")
    assert timing(output) == timing(rich)
    for kind, count in (("audio", 95), ("subtitle", 4)):  # the empty text at the subtitles' end is the muxer's
        assert payloads(output, kind)[:count] == payloads(rich, kind)[:count]
        assert len(payloads(rich, kind)) - count == (kind == "subtitle")
    with av.open(str(rich)) as before, av.open(str(output)) as after:
        assert after.metadata["title"] == "a title"
        assert after.streams.video[0].metadata["timecode"] == "01:02:03:04"
        assert [c["metadata"] for c in after.chapters()] == [c["metadata"] for c in before.chapters()]
        assert after.streams.video[0].duration == before.streams.video[0].duration
        assert after.streams.video[0].time_base == before.streams.video[0].time_base
    assert probe(output).color == probe(rich).color
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.parametrize("codec", ["h264", "hevc", "prores", "av1"])
def test_variable_rate_offset_and_last_duration_are_exact(tmp_path, codec):
    pts = [12345, 13346, 14347, 18000, 18500, 20000]
    source = write_clip(tmp_path / "vfr.mp4", moving(6, 160, 120), time_base=T30000, pts=pts, last_duration=9000)
    output = copy_clip(source, tmp_path / f"out{'.mov' if codec == 'prores' else '.mp4'}", codec=codec)
    assert [start for start, _ in timing(output)] == [n * T30000 for n in pts]
    with av.open(str(output)) as container:
        stream: Any = container.streams.video[0]
        assert (stream.start_time + stream.duration) * stream.time_base == Fraction(29000, 30000)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_shortest_hevc_streams_have_sane_times(tmp_path, count):
    pts = [12345, 13346, 18000][:count]
    source = write_clip(tmp_path / "short.mp4", moving(count, 64, 64), time_base=T30000, pts=pts, last_duration=1001)
    for suffix in [".mkv", ".mp4"] * 5:  # x265's undefined times are other ones in every run
        output = copy_clip(source, tmp_path / f"out{suffix}", codec="hevc", overwrite=True)
        scale = Fraction(1, 1000) if suffix == ".mkv" else T30000
        assert [start for start, _ in timing(output)] == [round(n * T30000 / scale) * scale for n in pts]
        with av.open(str(output)) as container:
            packets = [packet for packet in container.demux(video=0) if packet.size]
        if suffix == ".mp4":  # Matroska holds no decoding times
            times = [
                (packet.dts, packet.pts) for packet in packets if packet.dts is not None and packet.pts is not None
            ]
            assert len(times) == count
            assert all(dts <= pts for dts, pts in times)
            assert all(one[0] < other[0] for one, other in itertools.pairwise(times))


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotation_tag_is_kept(tmp_path, rotation):
    source = write_clip(tmp_path / "r.mp4", moving(3, 64, 48), rotation=rotation)
    info = probe(copy_clip(source, tmp_path / "out.mp4"))
    assert (info.rotation, info.width, info.height) == (rotation, 64, 48)


@pytest.mark.parametrize(
    ("name", "pix_fmt", "color"),
    [
        ("a.mkv", "yuv420p", ColorTags(1, 1, 1, 1, 1)),
        ("a.mkv", "yuv422p10le", HDR),
        ("a.mkv", "yuva444p", ColorTags(6, 1, 6, 6)),
        ("a.mkv", "gbrp12le", ColorTags(0, 2, 1, 1)),
        ("a.mkv", "yuv444p", ColorTags(1, 2, 1, 1)),
    ],
    ids=lambda v: v if isinstance(v, str) else None,
)
def test_a_lossless_codec_gives_back_every_sample_and_tag(tmp_path, name, pix_fmt, color):
    source = write_clip(tmp_path / name, moving(4, 401, 335), codec="ffv1", pix_fmt=pix_fmt, color=color)
    output = copy_clip(source, tmp_path / "out.mkv")
    before, after = frames_of(source), frames_of(output)
    assert after[0].color == before[0].color
    for a, b in zip(before, after, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a.planes, b.planes, strict=True))


@pytest.mark.parametrize(
    ("source_codec", "pix_fmt", "suffix"),
    [
        ("libx264", "yuv422p10le", ".mp4"),
        ("libx265", "yuv420p10le", ".mp4"),
        ("prores_ks", "yuv422p10le", ".mov"),
        ("prores_ks", "yuva444p10le", ".mov"),
        ("dnxhd", "yuv422p10le", ".mov"),
        ("libvpx-vp9", "yuv420p", ".webm"),
    ],
)
def test_family_depth_and_tags_are_kept(tmp_path, source_codec, pix_fmt, suffix):
    extra = {"dnxhd": {"profile": "dnxhr_hqx"}, "libx265": {"x265-params": "log-level=none"}}.get(source_codec, {})
    color = ColorTags(1, 1, 1, 1, 1)
    source = write_clip(
        tmp_path / f"a{suffix}", moving(3, 320, 240), codec=source_codec, pix_fmt=pix_fmt, color=color, options=extra
    )
    before, after = probe(source), probe(copy_clip(source, tmp_path / f"out{suffix}"))
    assert (after.codec, after.layout, after.color) == (before.codec, before.layout, before.color)
    for a, b in zip(frames_of(source), frames_of(tmp_path / f"out{suffix}"), strict=True):
        assert np.abs(a.rgb() - b.rgb()).mean() < 0.01


def test_odd_sizes_become_full_chroma_where_the_encoder_refuses(tmp_path):
    source = write_clip(tmp_path / "odd.mkv", moving(3, 401, 335), codec="ffv1")
    info = probe(copy_clip(source, tmp_path / "out.mp4"))
    assert (info.width, info.height, info.codec, info.layout.pix_fmt) == (401, 335, "h264", "yuv444p")
    for a, b in zip(frames_of(source), frames_of(tmp_path / "out.mp4"), strict=True):
        assert np.abs(a.rgb() - b.rgb()).mean() < 0.01


def test_pixel_aspect_is_kept(tmp_path):
    source = write_clip(tmp_path / "a.mp4", moving(2), options={"aspect": "16:9"})
    with av.open(str(source)) as a, av.open(str(copy_clip(source, tmp_path / "b.mp4"))) as b:
        shapes = [c.streams.video[0].sample_aspect_ratio for c in (a, b)]
    assert shapes == [Fraction(16, 9)] * 2


def test_the_same_settings_give_the_same_bytes(rich, tmp_path):
    for codec in ("h264", "hevc"):
        a, b, c = (copy_clip(rich, tmp_path / f"{n}.mp4", codec=codec).read_bytes() for n in "abc")
        assert a == b == c


def test_x264_leaves_out_what_does_not_repeat(rich, monkeypatch):
    for capability, expected in (("AVX512", "asm=AVX2,FMA3,BMI2"), ("AVX2", None)):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda c=capability: c)
        encoding = choose(probe(rich), WriteConfig().wish(), ".mp4", 160, 120)
        assert encoding.codec == "libx264"
        assert dict(encoding.options).get("x264-params") == expected


def test_frames_are_passed_on_one_by_one_and_an_early_end_leaves_nothing(rich, tmp_path):
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    output = tmp_path / "out.mp4"
    writing = Write(WriteConfig(), probe(rich), output).stream(finished(rich, output, ReadConfig(), WriteConfig()))
    assert not list(tmp_path.iterdir())
    assert [item.source.frame.index for item in itertools.islice(writing, 5)] == list(range(5))
    assert len(list(tmp_path.iterdir())) == 1
    assert not output.exists()
    writing.close()
    gc.collect()
    assert not list(tmp_path.iterdir())
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_error_upstream_leaves_nothing_and_keeps_an_older_output(rich, tmp_path):
    output = tmp_path / "out.mp4"
    output.write_bytes(b"older")

    def broken():
        yield from itertools.islice(finished(rich, output, ReadConfig(), WriteConfig()), 30)
        raise RuntimeError("upstream")

    with pytest.raises(RuntimeError, match="upstream"):
        for _ in Write(WriteConfig(), probe(rich), output).stream(broken()):
            pass
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"older"]


def test_a_full_disk_is_one_line_and_leaves_nothing(rich, tmp_path):
    """/dev/full takes the place of the hidden file, so that libav meets the real error of the system."""
    output = tmp_path / "out.mp4"
    part = output.with_name(f".out.{os.getpid()}.part.mp4")
    part.symlink_to("/dev/full")
    with pytest.raises(MediaError, match="no space left on device") as caught:
        copy_clip(rich, output)
    assert "free some space" in caught.value.remedy
    assert not list(tmp_path.iterdir())


def test_disk_errors_of_other_kinds_and_data_errors_are_told_apart(tmp_path):
    from stages.output import disk_errors

    with pytest.raises(MediaError, match="read-only"), disk_errors(tmp_path / "x"):
        raise OSError(errno.EROFS, "Read-only file system")
    with pytest.raises(ValueError, match="data"), disk_errors(tmp_path / "x"):
        raise ValueError("data")


def test_memory_does_not_grow_with_the_clip(tmp_path):
    """Peak number of encoder packets and source packets in flight, by the process's own memory."""
    import resource

    peaks = []
    for count in (60, 600):
        source = write_clip(tmp_path / f"{count}.mp4", moving(12, 160, 120) * (count // 12), sound=True)
        copy_clip(source, tmp_path / f"out{count}.mp4")
        gc.collect()
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    assert peaks[1] - peaks[0] < 40_000  # KiB; the long clip's raw samples alone are 17 MB, its RGB 138 MB


def test_images_and_folders(tmp_path):
    deep = np.random.default_rng(0).integers(0, 65536, (30, 41, 3), np.uint16)
    cv2.imwrite(str(tmp_path / "deep.png"), deep)
    copy_clip(tmp_path / "deep.png", tmp_path / "out.png")
    assert np.array_equal(picture(tmp_path / "out.png"), deep)
    copy_clip(tmp_path / "deep.png", tmp_path / "out.jpg")
    assert np.abs(picture(tmp_path / "out.jpg").astype(int) - (deep >> 8)).mean() < 20
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("s2", "s10"):
        cv2.imwrite(str(folder / f"{name}.png"), (deep >> 8).astype(np.uint8))
    copy_clip(folder, tmp_path / "frames")
    assert sorted(p.name for p in (tmp_path / "frames").iterdir()) == ["s10.png", "s2.png"]
    assert np.array_equal(picture(tmp_path / "frames" / "s2.png"), deep >> 8)
    copy_clip(folder, tmp_path / "frames", overwrite=True)
    movie = probe(copy_clip(folder, tmp_path / "movie.mp4"))
    assert (movie.codec, movie.num_frames, movie.rate, movie.layout.pix_fmt) == ("h264", 2, 25, "yuv444p")
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_videos_to_images(tmp_path):
    clip = write_clip(tmp_path / "r.mp4", moving(3, 64, 48), rotation=90)
    copy_clip(clip, tmp_path / "frames")
    assert sorted(p.name for p in (tmp_path / "frames").iterdir()) == [f"{i:06d}.png" for i in range(3)]
    upright = picture(tmp_path / "frames" / "000001.png")[..., ::-1]
    assert np.abs(upright.astype(int) - frames_of(clip)[1].rgb8()).max() <= 1
    with pytest.raises(MediaError, match="cannot hold several frames"):
        copy_clip(clip, tmp_path / "one.png")
    copy_clip(clip, tmp_path / "one.png", {"start": 1, "end": 2})
    assert picture(tmp_path / "one.png").shape == (64, 48, 3)


@pytest.mark.parametrize(
    ("settings", "suffix", "words"),
    [
        ({"codec": "nonsense"}, ".mp4", "no video encoder nonsense"),
        ({"codec": "aac"}, ".mp4", "no video encoder aac"),
        ({"codec": "prores"}, ".mp4", "prores at 64x48 cannot be written into a .mp4"),
        ({"pix_fmt": "yuv444p12le"}, ".mp4", "does not take the pixel format"),
        ({"codec": "h264", "preset": "nonsense"}, ".mp4", "h264 nonsense"),
    ],
)
def test_combinations_that_do_not_go_together_are_refused_before_any_work(tmp_path, settings, suffix, words, caplog):
    clip = probe(write_clip(tmp_path / "a.mp4", moving(1)))
    with caplog.at_level(logging.CRITICAL), pytest.raises(MediaError, match=words) as caught:
        choose_encoding(clip, WriteConfig(**settings), suffix, 64, 48)
    assert caught.value.remedy


def test_grey_and_rgb_sources_get_colour_in_delivery_codecs(tmp_path):
    cv2.imwrite(str(tmp_path / "g.png"), np.full((48, 64), 90, np.uint8))
    cv2.imwrite(str(tmp_path / "c.png"), np.full((48, 64, 3), 90, np.uint8))
    for name in ("g.png", "c.png"):
        layout, color = choose_encoding(probe(tmp_path / name), WriteConfig(), ".mp4", 64, 48)
        assert (layout.pix_fmt, color.matrix, color.range) == ("yuv420p", 6, 1)
    assert choose_encoding(probe(tmp_path / "g.png"), WriteConfig(), ".png", 64, 48)[0].pix_fmt == "gbrp"
