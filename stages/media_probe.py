"""What is known of a clip before its first frame is decoded for good; and the one way to open a file with libav."""

import io
import logging
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError
from av.stream import Disposition
from av.video.stream import VideoStream

from stages import layout as tags
from stages.avframe import planar_format
from stages.errors import MediaError
from stages.layout import ColorTags, PlaneLayout
from stages.sequence import IMAGE_SUFFIXES, is_sequence, list_images
from stages.types import ClipInfo

log = logging.getLogger(__name__)

DEFAULT_RATE = Fraction(25)
"""Of image sequences, when nobody says otherwise."""
UNREADABLE = "check that the file is complete and plays elsewhere, or copy it again from its source"


def probe(path: str | Path, sequence_rate: Fraction = DEFAULT_RATE) -> ClipInfo:
    """Open a video, an image, or a folder or pattern of images, and decode its first picture.

    Args:
        sequence_rate: frames per second of an image sequence, which does not say it itself.

    Raises:
        MediaError: nothing is there, or it cannot be read as pictures.
    """
    path = Path(path)
    if is_sequence(path):
        images = list_images(path)
        return _probe_file(images[0], path, "sequence", sequence_rate, len(images))
    return _probe_file(path, path, "video", sequence_rate, None)


def _probe_file(file: Path, path: Path, kind: str, sequence_rate: Fraction, count: int | None) -> ClipInfo:
    with open_media(file) as container:
        stream = video_stream(container, file)
        frame = first_frame(container, stream, file)
        is_image = container.format.name.endswith("_pipe") or file.suffix.lower() in IMAGE_SUFFIXES
        layout = layout_of_frame(frame, file)
        color, guessed = color_of_frame(frame, layout, stream.codec_context.name, is_image)
        still = is_image or kind == "sequence"
        rate = sequence_rate if still else stream.guessed_rate or stream.average_rate or DEFAULT_RATE
        return ClipInfo(
            path=path,
            kind="sequence" if kind == "sequence" else "image" if is_image else "video",
            width=frame.width,
            height=frame.height,
            rotation=rotation_of_frame(frame),
            time_base=1 / rate if still else stream.time_base or 1 / rate,
            rate=rate,
            num_frames=count or (1 if is_image else promised_frames(container, stream, rate)),
            layout=layout,
            color=color,
            color_guessed=guessed,
            codec=stream.codec_context.name,
            has_audio=bool(container.streams.audio),
        )


def open_media(path: Path) -> InputContainer:
    """Open a file for demuxing. Images are read into memory, so that no name of theirs is taken for a pattern.

    Raises:
        MediaError: it is missing, empty, a folder, not permitted, or no media file.
    """
    if not path.exists():
        raise MediaError(f"{path}: no such file", "check the path and the current folder")
    if not path.is_file():
        raise MediaError(f"{path}: not a file", "give a video, an image, or a folder of images")
    try:
        if path.stat().st_size == 0:
            raise MediaError(f"{path}: the file is empty", UNREADABLE)
        is_image = path.suffix.lower() in IMAGE_SUFFIXES
        return av.open(io.BytesIO(path.read_bytes()) if is_image else f"file:{path}", "r", metadata_errors="replace")
    except FFmpegError as error:
        if isinstance(error, PermissionError):
            raise _forbidden(path) from error
        raise MediaError(f"{path}: cannot be read as a video or image: {reason(error)}", UNREADABLE) from error
    except PermissionError as error:
        raise _forbidden(path) from error


def _forbidden(path: Path) -> MediaError:
    return MediaError(f"{path}: no permission to read it", "change its permissions, or run as a user who may")


def reason(error: BaseException) -> str:
    """libav's own words, without its numbers and paths."""
    return str(getattr(error, "strerror", None) or error).split(":")[0].rstrip(".").lower()


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The clip's picture stream; cover art does not count.

    Raises:
        MediaError: there is none.
    """
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams or container.format.name == "tty":
        kind = "only sound" if container.streams.audio and not streams else "no pictures"
        raise MediaError(f"{path}: the file holds {kind}", "give a file with a video stream")
    return next((s for s in streams if s.disposition & Disposition.default), streams[0])


def first_frame(container: InputContainer, stream: VideoStream, path: Path) -> av.VideoFrame:
    """The first picture that can be decoded; a MediaError when there is none."""
    try:
        for packet in container.demux(stream):
            try:
                for frame in packet.decode():
                    return frame
            except InvalidDataError:
                continue  # a damaged start; reading decides by its policy what that means
    except FFmpegError as error:
        raise MediaError(f"{path}: no picture can be decoded: {reason(error)}", UNREADABLE) from error
    raise MediaError(f"{path}: no picture can be decoded", UNREADABLE)


def promised_frames(container: InputContainer, stream: VideoStream, rate: Fraction) -> int | None:
    """Frames by the container's index, else by its duration and rate; None when it says neither."""
    if stream.frames:
        return stream.frames
    seconds = stream.duration * stream.time_base if stream.duration and stream.time_base else None
    if seconds is None and container.duration and container.duration > 0:
        seconds = Fraction(container.duration, 1_000_000)
    return round(seconds * rate) if seconds else None


def layout_of_frame(frame: av.VideoFrame, path: Path) -> PlaneLayout:
    """How `planes_of_frame` lays out this frame's samples.

    Raises:
        MediaError: the pixel format has no planar form.
    """
    try:
        return planar_format(frame.format.name)
    except ValueError as error:
        what = f"{path}: pixel format {frame.format.name} is not supported"
        raise MediaError(what, "convert the clip to a common format first, e.g. ProRes or 16-bit PNG") from error


def rotation_of_frame(frame: av.VideoFrame) -> int:
    """Degrees counter-clockwise that stand the picture upright, to the nearest quarter turn: 0, 90, 180 or 270."""
    return round(frame.rotation / 90) * 90 % 360


def color_of_frame(frame: av.VideoFrame, layout: PlaneLayout, codec: str, is_image: bool) -> tuple[ColorTags, bool]:
    """The frame's tags with what they leave open filled in, and whether the matrix had to be guessed.

    Untagged Y'CbCr is BT.709 from 720 lines or 1280 columns up, else BT.601; limited range, but for grey images.
    """
    stated = ColorTags(frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc)
    if layout.is_rgb:
        color_range = stated.range or tags.RANGE_FULL
        return ColorTags(tags.MATRIX_RGB, color_range, stated.primaries, stated.transfer), False
    full = frame.format.name.startswith("yuvj") or (layout.is_gray and is_image)
    large = frame.height >= 720 or frame.width >= 1280
    guess = tags.MATRIX_BT709 if large else tags.MATRIX_BT601
    if stated.matrix == tags.MATRIX_BT2020_CL:
        guess = tags.MATRIX_BT2020_NCL
    if not stated.supported and stated.matrix not in (tags.MATRIX_RGB, tags.MATRIX_UNSPECIFIED, tags.MATRIX_RESERVED):
        log.warning(
            "colour matrix %d (H.273) is not supported; its samples are read by matrix %d", stated.matrix, guess
        )
    subsampled = layout.chroma_log2_w or layout.chroma_log2_h
    centred = codec in ("mjpeg", "webp", "mpeg1video")
    color = ColorTags(
        matrix=stated.matrix if stated.supported else guess,
        range=stated.range or (tags.RANGE_FULL if full else tags.RANGE_LIMITED),
        primaries=stated.primaries,
        transfer=stated.transfer,
        chroma_location=(tags.CHROMA_CENTER if centred else tags.CHROMA_LEFT) if subsampled else 0,
    )
    return color, not stated.supported and not layout.is_gray
