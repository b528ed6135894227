"""Parts joined by stream copy are what a render in one go is: frames, times, sound and all that lies beside."""

from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest

from stages.concat import Part, join
from stages.errors import MediaError
from stages.media_probe import probe
from tests.helpers import copy_clip, decode_all, frames_of, moving, payloads, timing, write_clip

BOTH = frozenset({"audio", "subtitle"})
COUNT = 17
EDGES = (0, 5, 6, 13, COUNT)
VFR = [12345 + 1001 * k + (k * k * 37) % 900 for k in range(COUNT)]
PRORES = {"codec": "prores_ks", "pix_fmt": "yuv422p10le"}
CASES = {
    "ffv1.mkv": ({}, {"codec": "ffv1"}),
    "prores.mov": (PRORES, {}),
    "prores4444.mov": (PRORES | {"pix_fmt": "yuv444p10le"}, {}),
    "prores.mkv": (PRORES, {}),
    "lossless.mp4": ({}, {"codec": "libx264", "quality": 0}),
    "lossless.mov": ({"time_base": Fraction(1, 30000), "pts": VFR}, {"codec": "libx264", "quality": 0}),
    "lossy.mp4": ({"time_base": Fraction(1, 30000), "pts": VFR}, {"quality": 30}),
    "lossy.mkv": ({"time_base": Fraction(1, 30000), "pts": VFR}, {"quality": 30}),
    "lossy.ts": ({}, {"quality": 30}),
    "hevc.mp4": ({"codec": "libx265", "options": {"x265-params": "log-level=none"}}, {"quality": 30}),
    "av1.mp4": ({}, {"codec": "libsvtav1", "quality": 40, "preset": "12"}),
    "vp9.webm": ({}, {"codec": "libvpx-vp9", "quality": 40}),
}
LOSSY = ("lossy", "hevc", "av1", "vp9")


def parts_of(source, folder, suffix, edges=EDGES, **write):
    frames = frames_of(source)
    parts = []
    for start, end in pairwise(edges):
        path = folder / f"{start:02d}{suffix}"
        copy_clip(source, path, {"start": start, "end": end}, picture_only=True, **write)
        parts.append(Part(path, tuple(frame.pts for frame in frames[start:end])))
    return parts, frames[-1].pts + frames[-1].duration


def packet_times(path):
    """(pts, dts) of every picture packet; None where the file does not say."""
    with av.open(str(path)) as container:
        return [(p.pts, p.dts) for p in container.demux(video=0) if p.size]


def facts(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        frame = next(container.decode(stream))
        return {
            "codec": (context.name, context.codec_tag, context.profile, context.pix_fmt),
            "color": (frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc, frame.rotation),
            "rate": (stream.average_rate, stream.base_rate, stream.time_base, stream.start_time, stream.frames),
            "aspect": stream.sample_aspect_ratio,
            "length": (stream.duration, container.duration, container.start_time),
            "metadata": (dict(container.metadata), dict(stream.metadata)),
            "streams": [(s.type, s.language, s.disposition) for s in container.streams],
            "chapters": container.chapters(),
        }


@pytest.mark.parametrize("name", CASES)
def test_joined_parts_are_the_render_in_one_go(tmp_path, name):
    made, write = CASES[name]
    suffix = f".{name.rpartition('.')[2]}"
    source = write_clip(
        tmp_path / "source.mov", moving(COUNT), sound=suffix != ".webm", metadata={"title": "a"}, **made
    )
    whole = copy_clip(source, tmp_path / f"whole{suffix}", **write)
    parts, end = parts_of(source, tmp_path, suffix, **write)
    joined = tmp_path / f"joined{suffix}"
    join(parts, end, probe(source), joined, BOTH)
    if made.get("pts") and name.startswith(LOSSY):  # an MP4 tells frames' lengths by decoding order, which is its own
        assert [start for start, _ in timing(joined)] == [start for start, _ in timing(whole)]
    else:
        assert timing(joined) == timing(whole)
    assert payloads(joined, "audio") == payloads(whole, "audio")
    assert facts(joined) == facts(whole)
    pictures = decode_all(joined)
    alone = [picture for part in parts for picture in decode_all(part.path)]
    assert all(np.array_equal(a, b) for a, b in zip(pictures, alone, strict=True))
    if not name.startswith(LOSSY):
        assert all(np.array_equal(a, b) for a, b in zip(pictures, decode_all(whole), strict=True))
    times = [(pts, dts) for pts, dts in packet_times(joined) if pts is not None and dts is not None]
    assert len(times) >= (COUNT - 2 if suffix == ".mkv" else COUNT)  # Matroska holds no decoding times
    assert all(one[1] < other[1] for one, other in pairwise(times))
    assert all(dts <= pts for pts, dts in times)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_what_lies_beside_comes_from_the_source_once(rich, tmp_path, suffix):
    whole = copy_clip(rich, tmp_path / f"whole{suffix}")
    parts, end = parts_of(rich, tmp_path, ".mp4", edges=(0, 20, 48))
    for part in parts:
        with av.open(str(part.path)) as container:
            assert [stream.type for stream in container.streams] == ["video"]
            assert not container.chapters()
            assert "title" not in container.metadata
    joined = tmp_path / f"joined{suffix}"
    join(parts, end, probe(rich), joined, BOTH)
    for kind in ("audio", "subtitle"):
        assert payloads(joined, kind) == payloads(whole, kind)
    found, wanted = facts(joined), facts(whole)
    assert found["chapters"]
    assert found["metadata"][0]["title"] == "a title"
    assert "01:02:03:04" in str(found["metadata"])
    assert found == wanted
    silent = tmp_path / f"silent{suffix}"
    join(parts, end, probe(rich), silent, frozenset())
    assert not payloads(silent, "audio")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_parts_of_one_frame_of_hevc_are_joined(tmp_path, suffix):
    source = write_clip(tmp_path / "source.mp4", moving(4), time_base=Fraction(1, 30000), pts=VFR[:4])
    parts, end = parts_of(source, tmp_path, suffix, edges=(0, 1, 2, 4), codec="hevc")
    joined = tmp_path / "joined.mp4"
    join(parts, end, probe(source), joined, BOTH)
    assert [start for start, _ in timing(joined)] == [n * Fraction(1, 30000) for n in VFR[:4]]


def test_rotation_and_pixel_shape_are_the_parts(tmp_path):
    source = write_clip(tmp_path / "r.mp4", moving(4), rotation=90, options={"aspect": "16:9"})
    whole = copy_clip(source, tmp_path / "whole.mov")
    parts, end = parts_of(source, tmp_path, ".mp4", edges=(0, 1, 4))
    join(parts, end, probe(source), tmp_path / "joined.mov", BOTH)
    assert probe(tmp_path / "joined.mov").rotation == 90
    assert facts(tmp_path / "joined.mov") == facts(whole)


def test_parts_that_do_not_fit_leave_nothing(tmp_path):
    source = write_clip(tmp_path / "s.mp4", moving(8))
    first, end = parts_of(source, tmp_path, ".mp4", edges=(0, 4, 8))
    (tmp_path / "other").mkdir()
    other, _ = parts_of(source, tmp_path / "other", ".mp4", edges=(0, 4, 8), pix_fmt="yuv444p")
    output = tmp_path / "joined.mp4"
    with pytest.raises(MediaError, match=r"04\.mp4: encoded otherwise than 00\.mp4"):
        join([first[0], other[1]], end, probe(source), output, BOTH)
    with pytest.raises(MediaError, match="holds 4 pictures instead of 3"):
        join([first[0], Part(first[1].path, first[1].pts[:3])], end, probe(source), output, BOTH)
    with pytest.raises(MediaError, match=r"h264 cannot be stored in a \.webm file"):
        join(first, end, probe(source), output.with_suffix(".webm"), BOTH)
    assert not [path for path in tmp_path.iterdir() if "joined" in path.name]


def test_a_clip_of_one_frame(tmp_path):
    source = write_clip(tmp_path / "s.mp4", moving(1))
    parts, end = parts_of(source, tmp_path, ".mp4", edges=(0, 1))
    join(parts, end, probe(source), tmp_path / "joined.mp4", BOTH)
    assert timing(tmp_path / "joined.mp4") == timing(copy_clip(source, tmp_path / "whole.mp4"))
