"""Scripted detections through track and settle, for the tests of both."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from models.faces import Detection, Region, bounds
from stages.pixels import ColorTags
from stages.settle import Settle
from stages.track import Track, TrackConfig
from stages.types import FaceFrame, ShotFrame
from tests.stages.makers import clip, face, frame

CLIP = replace(clip(320, 240, "gbrp"), color=ColorTags(matrix=0, range=2))
FILL, RADIUS = 5, 3
CONFIG = TrackConfig(fill_s=FILL / 25, smooth_s=RADIUS / 25, detect_every=1)

Person = tuple[float, float, float]
"""x, y of the point between the eyes; eye distance."""
Script = Sequence[Sequence[Person]]
"""Who is to be seen in every frame."""


def detection(x: float, y: float, size: float, score: float = 0.9) -> Detection:
    landmarks = face(center=(x, y), eye_distance=size).landmarks.copy()
    landmarks[:17, 0] += np.linspace(-size, size, 17, dtype=np.float32)
    landmarks[8, 1] += size * 1.2
    return Detection(bounds(landmarks), score, landmarks, Region(x, y, 3 * size, 0))


class Scripted:
    """Finds what the script says; the frame's number is its picture's grey value."""

    name = "scripted"
    version = "0"
    weights_sha256: Mapping[str, str] = MappingProxyType({})

    def __init__(self, script: Script) -> None:
        self.script = script
        self.detected: list[int] = []
        self.refined: list[int] = []

    def detect(self, image: np.ndarray) -> list[Detection]:
        self.detected.append(int(image[0, 0, 0]))
        return [detection(*person) for person in self.script[self.detected[-1]]]

    def reach(self, previous: Detection) -> tuple[int, int, int, int] | None:
        x0, y0, x1, y1 = previous.box.tolist()
        return int(x0) - 20, int(y0) - 20, int(x1) + 20, int(y1) + 20

    def refine(self, image: np.ndarray, previous: Detection, corner: tuple[int, int] = (0, 0)) -> Detection | None:
        number = int(image[0, 0, 0])
        self.refined.append(number)
        near = [detection(*p) for p in self.script[number]]
        near = [d for d in near if np.abs(d.box - previous.box).max() < 20]
        return near[0] if near else None


def frames(count: int, cuts: tuple[int, ...] = (), pts: list[int] | None = None) -> Generator[ShotFrame, None, None]:
    for number in range(count):
        picture = np.full((240, 320, 3), number / 255, np.float32)
        made = replace(frame(number, picture, CLIP), pts=pts[number] if pts else number)
        yield ShotFrame(made, sum(number >= cut for cut in cuts))


def followed(config: TrackConfig, detector: Scripted, items: Generator[ShotFrame, None, None]):
    return Settle(config).stream(Track(config, detector).stream(items))


def track(script: Script, config: TrackConfig = CONFIG, **kwargs) -> list[FaceFrame]:
    return list(followed(config, Scripted(script), frames(len(script), **kwargs)))


def sources(out: list[FaceFrame]) -> str:
    """One letter a frame: d(etected), f(illed), h(eld), - (no face)."""
    return "".join(item.faces[0].source[0] if item.faces else "-" for item in out)
