"""Clips made on the spot by a real encoder, and plain ways to look into a file."""

from __future__ import annotations

import io
from collections.abc import Generator, Iterable, Sequence
from fractions import Fraction
from hashlib import md5
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.codec.context import Flags
from numpy.typing import NDArray

from stages.avframe import frame_of_planes
from stages.composite import Composite, CompositeConfig
from stages.media_probe import probe
from stages.pixels import ColorTags, PlaneLayout, rgb_to_planes
from stages.read import Read, ReadConfig
from stages.shots import Shots, ShotsConfig
from stages.types import Frame, OutputFrame
from stages.untouched import Untouched
from stages.write import Write, WriteConfig, choose_encoding

BT709_LIMITED = ColorTags(1, 1, 1, 1, 1)
SOUND_RATE = 48_000
SUBTITLES = b"1\n00:00:00,100 --> 00:00:00,300\nfirst line\n\n2\n00:00:00,400 --> 00:00:00,600\nsecond line\n"


def pattern(width: int, height: int, index: int, scene: int = 0) -> NDArray[np.uint8]:
    """[H, W, 3] uint8: gradient, stripes and a disc that drift by a pixel or two per frame; each scene its own."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    rng = np.random.default_rng(scene)
    base, slope = rng.uniform(40, 200, 3), rng.uniform(-60, 60, (2, 3))
    picture = base + slope[0] * (x / width)[..., None] + slope[1] * (y / height)[..., None]
    picture += 12 * np.sin((x + 1.5 * index) * (0.15 + 0.1 * (scene % 3)))[..., None]
    disc = (x - width * 0.3 - 1.2 * index) ** 2 + (y - height * (0.35 + 0.1 * (scene % 4))) ** 2 < (0.2 * height) ** 2
    picture[disc] = rng.uniform(0, 255, 3)
    return np.clip(picture, 0, 255).astype(np.uint8)


def moving(count: int, width: int = 64, height: int = 48, cuts: Sequence[int] = ()) -> list[NDArray[np.uint8]]:
    """`count` pictures of `pattern`, with a new scene at each frame number in `cuts`."""
    return [pattern(width, height, i, sum(i >= cut for cut in cuts)) for i in range(count)]


def write_clip(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    rate: Fraction | int = 24,
    time_base: Fraction | None = None,
    pts: Sequence[int] | None = None,
    last_duration: int | None = None,
    color: ColorTags = BT709_LIMITED,
    rotation: int = 0,
    sound: bool = False,
    subtitles: bool = False,
    options: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
    timecode: str | None = None,
    chapters: bool = False,
) -> Path:
    """Encode uint8 R'G'B' pictures [H, W, 3], as coded (before `rotation`), and return `path`.

    Args:
        pts: one per frame in `time_base`; None: constant rate from 0.
        color: tags to write; `ColorTags()` leaves the clip untagged, converted by BT.601.
        sound, subtitles: add an AAC tone as long as the clip, and two SubRip lines (mov_text in mp4 and mov).
        chapters: add two.
    """
    pictures = iter(frames)
    first = next(pictures)
    rate, layout = Fraction(rate), PlaneLayout.named(pix_fmt)
    base = time_base or 1 / rate
    step = int(1 / rate / base) or 1
    sense = color if color.supported or layout.is_rgb else ColorTags(6, 1)
    target: Any = av.open(str(path), "w", container_options=_timescale(path, base))
    with target as out:
        out.metadata.update(metadata or {})
        video = out.add_stream(codec, rate=rate, options={"crf": "12"} | (options or {}))
        video.height, video.width, video.pix_fmt = *first.shape[:2], pix_fmt
        context = video.codec_context
        context.time_base = video.time_base = base
        context.flags |= Flags.frame_duration
        context.color_primaries, context.color_trc = color.primaries, color.transfer
        context.colorspace, context.color_range = color.matrix, color.range
        if timecode:
            video.metadata["timecode"] = timecode
        if rotation:
            video.set_display_rotation(rotation)
        tone = out.add_stream("aac", rate=SOUND_RATE, layout="mono") if sound else None
        source: Any = av.open(io.BytesIO(SUBTITLES), format="srt") if subtitles else None
        text: Any = None
        if source is not None and path.suffix in (".mp4", ".mov"):
            text = out.add_stream("mov_text")
            header = b"[Script Info]\nScriptType: v4.00+\n\n[Events]\nFormat: Layer, Start, End, Style, Text\n"
            text.codec_context.subtitle_header = header
        elif source is not None:
            text = out.add_stream_from_template(source.streams.subtitles[0])
        if chapters:
            out.set_chapters(
                [
                    {
                        "id": i,
                        "start": i * 500,
                        "end": i * 500 + 500,
                        "time_base": Fraction(1, 1000),
                        "metadata": {"title": f"part {i}"},
                    }
                    for i in range(2)
                ]
            )
        end = 0
        for index, picture in enumerate(chain([first], pictures)):
            planes = rgb_to_planes(picture.astype(np.float32) / np.float32(255), layout, sense)
            frame = frame_of_planes(planes, layout, color)
            frame.pts, frame.time_base = pts[index] if pts else index * step, base
            frame.duration = step
            if pts:
                is_last = index + 1 == len(pts)
                frame.duration = (last_duration or step) if is_last else pts[index + 1] - pts[index]
            end = frame.pts + frame.duration
            out.mux(video.encode(frame))
        if tone is not None:
            out.mux(tone.encode(_tone(float(end * base))))
        if source is not None and text is not None:
            _mux_text(out, source, text)
        for stream in (video, tone):
            if stream is not None:
                out.mux(stream.encode(None))
    return path


def write_audio(path: Path, seconds: float = 0.5) -> Path:
    """A file with sound and no picture."""
    target: Any = av.open(str(path), "w")
    with target as out:
        tone = out.add_stream("aac", rate=SOUND_RATE, layout="mono")
        out.mux(tone.encode(_tone(seconds)))
        out.mux(tone.encode(None))
    return path


def frames_of(path: Path, **read: Any) -> list[Frame]:
    """Every frame as the read stage gives it; keywords are settings of `read`."""
    return list(Read(ReadConfig(**read), probe(path)).stream())


def finished(path: Path, output: Path, read: ReadConfig, write: WriteConfig) -> Generator[OutputFrame, None, None]:
    """Frames of `path`, untouched, in the layout that `output` wants."""
    clip = probe(path)
    planes = choose_encoding(clip, write, output.suffix, *clip.upright_size)
    shots = Shots(ShotsConfig(enabled=False)).stream(Read(read, clip).stream())
    return Composite(CompositeConfig(), clip.upright_size, *planes).stream(Untouched().stream(shots))


def copy_clip(path: Path, output: Path, read: dict[str, Any] | None = None, **write: Any) -> Path:
    """Read `path` and write it untouched; keywords are settings of `write`. Returns `output`."""
    reading, writing = ReadConfig(**(read or {})), WriteConfig(**write)
    for _ in Write(writing, probe(path), output, end=reading.end).stream(finished(path, output, reading, writing)):
        pass
    return output


def decode_all(path: Path) -> list[NDArray[np.uint8]]:
    """Every frame as coded (not rotated), uint8 R'G'B' [H, W, 3], by FFmpeg's own conversion."""
    source: Any = av.open(str(path))
    with source as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def timing(path: Path) -> list[tuple[Fraction, Fraction]]:
    """(start, duration) in seconds of every video frame, exact."""
    source: Any = av.open(str(path))
    with source as container:
        frames = list(container.decode(video=0))
    return [(f.pts * f.time_base, f.duration * f.time_base) for f in frames]


def payloads(path: Path, kind: str) -> list[tuple[Fraction, str]]:
    """(start in seconds, md5 of the payload) of every packet of the streams of this kind: audio, subtitle."""
    source: Any = av.open(str(path))
    with source as container:
        streams = [s for s in container.streams if s.type == kind]
        if not streams:
            return []
        packets = [p for p in container.demux(*streams) if p.size and p.pts is not None]
        return [(p.pts * p.time_base, md5(bytes(p)).hexdigest()) for p in packets]


def _timescale(path: Path, base: Fraction) -> dict[str, str]:
    return {"movie_timescale": str(base.denominator)} if path.suffix in (".mp4", ".mov") else {}


def _tone(seconds: float) -> Any:
    time = np.arange(int(seconds * SOUND_RATE)) / SOUND_RATE
    frame = av.AudioFrame.from_ndarray((0.2 * np.sin(2765 * time))[None].astype(np.float32), "fltp", "mono")
    frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, 0, Fraction(1, SOUND_RATE)
    return frame


def _mux_text(out: Any, source: Any, text: Any) -> None:
    for packet in source.demux(subtitles=0):
        if not packet.size:
            continue
        if text.codec_context is not None and text.codec_context.name == "mov_text":
            line = bytes(packet)
            tx3g: Any = av.Packet(len(line).to_bytes(2, "big") + line)
            tx3g.pts = tx3g.dts = packet.pts
            tx3g.duration, tx3g.time_base = packet.duration, packet.time_base
            packet = tx3g
        packet.stream = text
        out.mux(packet)
