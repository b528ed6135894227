"""Sound, subtitles, covers and attachments: the same packets at the same times, or a loud warning."""

from fractions import Fraction
from typing import Any

import av
import cv2
from av.stream import Disposition

from tests.helpers import copy_clip, frames_of, moving, payloads, timing, write_clip


def test_a_range_starts_at_the_clips_start_with_its_sound(rich, tmp_path):
    output = copy_clip(rich, tmp_path / "part.mp4", {"start": 10, "end": 30})
    whole, begin, end = timing(rich), Fraction(10, 24), Fraction(30, 24)
    assert [start for start, _ in timing(output)] == [start - begin for start, _ in whole[10:30]]
    expected = [(start - begin, md5) for start, md5 in payloads(rich, "audio") if begin <= start < end]
    got = payloads(output, "audio")
    assert [md5 for _, md5 in got] == [md5 for _, md5 in expected]
    assert all(abs(a - b) <= Fraction(1, 48000) for (a, _), (b, _) in zip(got, expected, strict=True))


def test_a_range_may_keep_the_sources_times(rich, tmp_path):
    output = copy_clip(rich, tmp_path / "part.mp4", {"start": 10, "end": 30}, timestamps="source")
    assert [start for start, _ in timing(output)] == [start for start, _ in timing(rich)[10:30]]
    assert set(payloads(output, "audio")) <= set(payloads(rich, "audio"))


def test_streams_that_do_not_fit_are_left_out_loudly(rich, tmp_path, caplog):
    copy_clip(rich, tmp_path / "out.mkv")
    assert "mov_text" in caplog.text
    assert "LEFT OUT" in caplog.text
    assert [md5 for _, md5 in payloads(tmp_path / "out.mkv", "audio")] == [md5 for _, md5 in payloads(rich, "audio")]
    copy_clip(rich, tmp_path / "mute.mp4", audio=False, subtitles=False)
    assert payloads(tmp_path / "mute.mp4", "audio") == []
    assert not {md5 for _, md5 in payloads(tmp_path / "mute.mp4", "subtitle")} & {
        md5 for _, md5 in payloads(rich, "subtitle")
    }


def test_several_sounds_attachments_and_covers(tmp_path):
    """Languages, dispositions and payloads of two sound streams in Matroska, a font-like attachment, a cover in MP4."""
    plain = write_clip(tmp_path / "plain.mkv", moving(12), sound=True, subtitles=True)
    many, cover = tmp_path / "many.mkv", tmp_path / "cover.mp4"
    sources: list[Any] = [av.open(str(plain)), av.open(str(plain))]
    with sources[0], sources[1], av.open(str(many), "w") as out:
        video = out.add_stream_from_template(sources[0].streams.video[0])
        sounds: list[Any] = [out.add_stream_from_template(s.streams.audio[0]) for s in sources]
        sounds[0].metadata["language"], sounds[1].metadata["language"] = "eng", "deu"
        sounds[1].disposition = Disposition.forced
        out.add_attachment("a.ttf", "font/ttf", b"glyphs")
        for packet in sources[0].demux(0, 1):
            if packet.size:
                packet.stream = video if packet.stream.type == "video" else sounds[0]
                out.mux(packet)
        for packet in sources[1].demux(1):
            if packet.size:
                packet.stream = sounds[1]
                out.mux(packet)
    with av.open(str(copy_clip(many, tmp_path / "out.mkv"))) as done:
        assert [s.language for s in done.streams.audio] == ["eng", "deu"]
        assert done.streams.audio[1].disposition & Disposition.forced
        assert [s.data for s in done.streams.attachments] == [b"glyphs"]
    assert sorted(payloads(tmp_path / "out.mkv", "audio")) == sorted(payloads(many, "audio"))
    picture_file = tmp_path / "c.jpg"
    cv2.imwrite(str(picture_file), moving(1)[0])
    inputs: list[Any] = [av.open(str(plain)), av.open(str(picture_file))]
    with inputs[0], inputs[1], av.open(str(cover), "w") as out:
        streams: list[Any] = [out.add_stream_from_template(s.streams.video[0]) for s in inputs]
        streams[1].disposition = Disposition.attached_pic
        for source, stream in zip(inputs, streams, strict=True):
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    out.mux(packet)
    assert len(frames_of(cover)) == 12
    for read in ({}, {"start": 3, "end": 9}):
        with av.open(str(copy_clip(cover, tmp_path / "out.mp4", read))) as done:
            pictures = [s for s in done.streams.video if s.disposition & Disposition.attached_pic]
            packet = next(p for p in done.demux(pictures[0]) if p.size)
            assert bytes(packet) == picture_file.read_bytes()


def test_hidden_sound_before_the_clip_does_not_move_it(rich, tmp_path):
    """A clip trimmed without re-encoding keeps sound from before its start, hidden by an edit list."""
    trimmed = tmp_path / "trimmed.mp4"
    source: Any = av.open(str(rich))
    with source, av.open(str(trimmed), "w") as out:
        targets: dict[int, Any] = {i: out.add_stream_from_template(source.streams[i]) for i in (0, 1)}
        for packet in source.demux(0, 1):
            if packet.size:
                if packet.stream.type == "audio":
                    packet.pts -= 24_000
                    packet.dts -= 24_000
                packet.stream = targets[packet.stream.index]
                out.mux(packet)
    assert payloads(trimmed, "audio")[0][0] < Fraction(-1, 2)
    assert payloads(copy_clip(trimmed, tmp_path / "a.mp4"), "audio") == payloads(trimmed, "audio")
    copy_clip(trimmed, tmp_path / "a.mkv")
    assert timing(tmp_path / "a.mkv")[0][0] < Fraction(1, 10)
    assert 18 < len(payloads(trimmed, "audio")) - len(payloads(tmp_path / "a.mkv", "audio")) < 26
