"""Which encoder, which samples, which options: decided by asking libav itself, with a header written into the void."""

import io
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import av
import torch
from av.codec.codec import UnknownCodecError
from av.codec.context import Flags
from av.container import OutputContainer
from av.error import FFmpegError

from stages import layout as tags
from stages.avframe import planar_format
from stages.errors import MediaError
from stages.layout import ColorTags, PlaneLayout
from stages.media_probe import reason
from stages.output import CONTAINERS
from stages.types import ClipInfo

log = logging.getLogger(__name__)

ENCODER_OF = {
    "h264": "libx264",
    "hevc": "libx265",
    "h265": "libx265",
    "prores": "prores_ks",
    "dnxhd": "dnxhd",
    "dnxhr": "dnxhd",
    "ffv1": "ffv1",
    "vp8": "libvpx-vp9",
    "vp9": "libvpx-vp9",
    "av1": "libsvtav1",
    "libdav1d": "libsvtav1",
    "mjpeg": "mjpeg",
    "utvideo": "utvideo",
    "v210": "v210",
    "cfhd": "cfhd",
    "qtrle": "qtrle",
}
"""Decoder or family name → encoder of the same family. Other families become H.264."""
DELIVERY = frozenset({"libx264", "libx265", "libsvtav1", "libvpx-vp9", "mpeg4"})
"""Codecs for viewing: R'G'B' and grey sources become 4:2:0 Y'CbCr there, which every player takes."""
CRF = {"libx264": 17.0, "libx265": 18.0, "libsvtav1": 22.0, "libvpx-vp9": 20.0}
"""Default constant-quality factor: hard to tell from the source."""
MJPEG_QUALITY = 2.0
PRESET = {"libx264": "fast", "libsvtav1": "6"}
"""x264's "fast" gives the PSNR and the size of its "medium" at the same factor, within 0.02 dB and 1 %, in two thirds
of the time (a talking head of 400 × 336)."""

REPEATABLE_ASM = "AVX2,FMA3,BMI2"
"""What x264 uses on processors with AVX-512, which have these too. With AVX-512 its macroblock tree differs from run to
run, even with one thread, and so do the bytes of the same pictures (seen at widths up to 854). It costs a sixth of
its speed at 640 × 360."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user asked for; None and "auto" leave it to `choose`."""

    codec: str = "auto"
    pix_fmt: str = "auto"
    quality: float | None = None
    preset: str | None = None
    threads: int = 4


@dataclass(frozen=True, slots=True)
class Encoding:
    """A combination that the encoder and the container accept."""

    codec: str
    pix_fmt: str
    """The encoder's own name, which may be packed or yuvj."""
    layout: PlaneLayout
    """Of the planes that `frame_of_planes` turns into `pix_fmt` without loss."""
    color: ColorTags
    options: tuple[tuple[str, str], ...]
    threads: int


def choose(clip: ClipInfo, wish: Wish, suffix: str, width: int, height: int) -> Encoding:
    """The first combination that is accepted, from the best downwards.

    "auto" takes the source's codec family, else H.264 (VP9 in WebM); and the source's samples, else the nearest that
    lose nothing (4:2:0 of an odd size becomes 4:4:4 in H.264), else those that lose least.

    Args:
        suffix: of the output, e.g. ``.mp4``.
        width, height: of the coded picture.

    Raises:
        MediaError: the codec or pixel format is unknown, or nothing is accepted.
    """
    refusal = ""
    for codec in _codecs(clip, wish, suffix):
        for encoding in _candidates(clip, wish, codec, width, height):
            refusal = _refusal(encoding, suffix, width, height, clip)
            if not refusal:
                return encoding
    asked = " ".join(word for word in (wish.codec, wish.pix_fmt, wish.preset) if word and word != "auto")
    what = f"{asked or 'this clip'} at {width}x{height} cannot be written into a {suffix} file"
    raise MediaError(
        f"{what}: {refusal or 'no pixel format fits'}",
        "choose another write.codec, write.pix_fmt or output suffix; .mov and .mkv take most codecs",
    )


def add_video(
    container: OutputContainer, encoding: Encoding, width: int, height: int, rate: Fraction, time_base: Fraction
) -> Any:
    """Add the encoder's stream. Closed groups of pictures, exact durations, tags on the stream."""
    if encoding.codec == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "1")  # errors only; this encoder writes to stderr past libav's log
    stream: Any = container.add_stream(encoding.codec, rate=rate, options=dict(encoding.options))
    stream.width, stream.height, stream.pix_fmt = width, height, encoding.pix_fmt
    context = stream.codec_context
    stream.time_base = context.time_base = time_base
    context.flags |= Flags.frame_duration | (Flags.closed_gop if encoding.codec in DELIVERY else 0)
    context.thread_count, context.thread_type = encoding.threads, "AUTO"
    color = encoding.color
    context.color_primaries, context.color_trc = color.primaries, color.transfer
    context.colorspace, context.color_range = color.matrix, color.range
    if encoding.codec == "libvpx-vp9":
        context.bit_rate = 0  # constant quality
    if encoding.codec == "libx265" and container.format.name in ("mp4", "mov"):
        context.codec_tag = "hvc1"  # players of the other vendor refuse hev1
    return stream


def trial_container(suffix: str) -> OutputContainer:
    """A container of this kind that is kept in memory and thrown away."""
    return av.open(io.BytesIO(), "w", format=CONTAINERS[suffix.lower()])


def _refusal(encoding: Encoding, suffix: str, width: int, height: int, clip: ClipInfo) -> str:
    """Why libav refuses; empty when it does not."""
    try:
        with trial_container(suffix) as container:
            add_video(container, encoding, width, height, clip.rate, clip.time_base)
            container.start_encoding()
    except (FFmpegError, ValueError) as error:
        return reason(error)
    return ""


def _codecs(clip: ClipInfo, wish: Wish, suffix: str) -> list[str]:
    if wish.codec != "auto":
        return [ENCODER_OF.get(wish.codec, wish.codec)]
    own = ENCODER_OF.get(clip.codec) if clip.kind == "video" else None
    if own is None or (own not in DELIVERY and suffix.lower() not in (".mov", ".mkv")):
        return ["libx264", "libvpx-vp9"]  # an MP4 of FFV1 is legal, but nothing plays it
    return list(dict.fromkeys([own, "libx264", "libvpx-vp9"]))


def _candidates(clip: ClipInfo, wish: Wish, codec: str, width: int, height: int) -> Iterator[Encoding]:
    names = _formats(codec)
    if wish.pix_fmt != "auto":
        if names and wish.pix_fmt not in names:
            raise MediaError(f"{codec} does not take the pixel format {wish.pix_fmt}", f"use one of {' '.join(names)}")
        names = [wish.pix_fmt]
    known: list[tuple[str, PlaneLayout]] = []
    for name in names or [clip.layout.pix_fmt]:
        try:
            known.append((name, planar_format(name)))
        except ValueError as error:
            if wish.pix_fmt != "auto":
                raise MediaError(f"pixel format {name} cannot be written", "see `ffmpeg -pix_fmts`") from error
    known.sort(key=lambda pair: _distance(clip.layout, pair[1], codec in DELIVERY))
    for name, layout in known:
        color = _color(clip, layout, codec, width, height)
        yield Encoding(codec, name, layout, color, _options(codec, layout, color, wish), wish.threads)


def _formats(codec: str) -> list[str]:
    """Names of the pixel formats that an encoder takes; yuvj names are left to the range tag."""
    try:
        encoder = av.Codec(codec, "w")
    except (UnknownCodecError, ValueError):
        encoder = None
    if encoder is None or encoder.type != "video":
        families = " ".join(sorted(set(ENCODER_OF)))
        raise MediaError(f"there is no video encoder {codec}", f"use one of {families}, or a name of libav's")
    return [entry.name for entry in encoder.video_formats or () if not entry.name.startswith("yuvj")]


def _distance(source: PlaneLayout, target: PlaneLayout, delivery: bool) -> tuple[int | bool, ...]:
    """Sorting key: what is lost first, then what is wasted."""
    colorless = source.is_rgb or source.is_gray
    log2_w, log2_h = (1, 1) if colorless and delivery else (source.chroma_log2_w, source.chroma_log2_h)
    bits = min(source.bits, 16)
    return (
        target.is_gray,
        target.is_rgb and delivery and not source.is_rgb,
        source.has_alpha and not target.has_alpha,
        max(0, target.chroma_log2_w - log2_w) + max(0, target.chroma_log2_h - log2_h),
        max(0, bits - min(target.bits, 16)),
        target.is_rgb != (source.is_rgb and not delivery),
        target.has_alpha and not source.has_alpha,
        max(0, target.bits - bits),
        max(0, log2_w - target.chroma_log2_w) + max(0, log2_h - target.chroma_log2_h),
    )


def _color(clip: ClipInfo, layout: PlaneLayout, codec: str, width: int, height: int) -> ColorTags:
    source = clip.color
    if layout.is_rgb:
        return source if clip.layout.is_rgb else replace(source, matrix=0, range=tags.RANGE_FULL, chroma_location=0)
    if codec == "mjpeg":
        return ColorTags(5, tags.RANGE_FULL, source.primaries, source.transfer, tags.CHROMA_CENTER)
    subsampled = bool(layout.chroma_log2_w or layout.chroma_log2_h)
    location = tags.CHROMA_LEFT if subsampled else 0
    if clip.layout.is_rgb or (clip.layout.is_gray and clip.kind != "video"):
        matrix = tags.MATRIX_BT709 if height >= 720 or width >= 1280 else tags.MATRIX_BT601
        return ColorTags(matrix, tags.RANGE_LIMITED, source.primaries, source.transfer, location)
    same = (layout.chroma_log2_w, layout.chroma_log2_h) == (clip.layout.chroma_log2_w, clip.layout.chroma_log2_h)
    return source if same else replace(source, chroma_location=location)


def _options(codec: str, layout: PlaneLayout, color: ColorTags, wish: Wish) -> tuple[tuple[str, str], ...]:
    options: dict[str, str] = {}
    if color.chroma_location:
        options["chroma_sample_location"] = str(color.chroma_location)
    if codec in CRF:
        options["crf"] = f"{CRF[codec] if wish.quality is None else wish.quality:g}"
    elif codec == "mjpeg":
        quality = MJPEG_QUALITY if wish.quality is None else wish.quality
        options |= {"flags": "+qscale", "global_quality": str(round(quality * 118))}  # FF_QP2LAMBDA
    elif wish.quality is not None:
        log.warning("%s has no constant-quality setting; write.quality is not used", codec)
    if wish.preset is not None:
        options["preset"] = wish.preset
    elif codec in PRESET:
        options["preset"] = PRESET[codec]
    if codec == "libx264" and torch.backends.cpu.get_cpu_capability() == "AVX512":
        options["x264-params"] = f"asm={REPEATABLE_ASM}"
    elif codec == "libx265":
        options["x265-params"] = f"log-level=none:open-gop=0:pools={wish.threads}:frame-threads=2"
    elif codec == "prores_ks":
        options |= {"profile": "hq" if layout.chroma_log2_w else "4444", "vendor": "apl0"}
    elif codec == "dnxhd":
        deep = "dnxhr_hqx" if layout.bits > 8 else "dnxhr_hq"
        options["profile"] = deep if layout.chroma_log2_w else "dnxhr_444"
    elif codec == "ffv1":
        options |= {"level": "3", "slicecrc": "1", "g": "1"}
    elif codec == "libvpx-vp9":
        options |= {"deadline": "good", "cpu-used": "3", "row-mt": "1"}
    return tuple(options.items())
