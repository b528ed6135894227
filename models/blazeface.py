"""The default face detector: BlazeFace short- and full-range together, then the 468-point face mesh.

BlazeFace (Bazarevsky et al., arXiv 1907.05047) for boxes, Face Mesh (Kartynnik et al., arXiv 1907.06724) for landmarks.
The short-range network sees large and turned faces, the full-range one small ones and faces cut by the border; their
union is merged, and the mesh's presence score has the last word.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face_mesh import FaceMesh
from models.faces import Detection, Image, Region, box_iou, drop_duplicates
from models.tflite import SHA256, VERSION, TFLiteNet

MIN_BOX_SCORE = 0.5
NMS_IOU = 0.3
MAX_LOOKS = 4
SETTLED = 0.1
"""Radians by which a second look may turn the face."""
MAX_FACES = 16
REGION_PER_BOX = 1.5
"""The mesh sees this many times the longer side of the box."""


@dataclass(frozen=True, slots=True)
class Boxes:
    """N candidates in edge coordinates of the picture (0 = left edge of the first pixel)."""

    points: NDArray[np.float64]
    """[N, 8, 2]: box corners (x0, y0), (x1, y1), then the eyes (image left first), nose, mouth and ears."""
    scores: NDArray[np.float64]
    """[N] in [0, 1]."""

    @property
    def corners(self) -> NDArray[np.float64]:
        """[N, 4] x0, y0, x1, y1."""
        return self.points[:, :2].reshape(-1, 4)


class BlazeFaceDetector:
    """`FaceDetector` that works offline after install; CPU, about 10 ms a frame.

    Raises:
        CheckpointError: the network files are not installed.
    """

    name = "blazeface"
    version = VERSION

    def __init__(self) -> None:
        self._short = BoxNet("face_detection_short_range.tflite", 128, ((16, 2), (8, 6)))
        self._full = BoxNet("face_detection_full_range.tflite", 192, ((48, 1),))
        self._mesh = FaceMesh()

    @property
    def weights_sha256(self) -> Mapping[str, str]:
        return SHA256

    def detect(self, image: Image) -> list[Detection]:
        boxes = _union([self._short(image), self._full(image)])
        if not len(boxes.scores):
            boxes = _union([self._full(image, tile) for tile in _tiles(image, self._full.size)])
        found: list[Detection] = []
        for points in _merge(boxes)[:MAX_FACES]:
            face = self._settle(image, self._mesh(image, _region(points)))
            if face:
                found.append(face)
        return drop_duplicates(found)

    def _settle(self, image: Image, first: Detection | None) -> Detection | None:
        """Look again from the face's own landmarks, and again while that still turns it.

        The result then hardly depends on the box, which jumps between frames and sees a turned head less turned than
        it is, and it is what `refine` would find.
        """
        face = first
        for _ in range(MAX_LOOKS):
            if face is None:
                return None
            angle = face.region.angle
            face = self.refine(image, face)
            if face and abs(math.remainder(face.region.angle - angle, math.tau)) < SETTLED:
                break
        return face

    def reach(self, previous: Detection) -> tuple[int, int, int, int] | None:
        return self._mesh.reach(previous.region)

    def refine(self, image: Image, previous: Detection, corner: tuple[int, int] = (0, 0)) -> Detection | None:
        found = self._mesh(image, previous.region, corner)
        stays = found and previous.region.is_close(found.region)
        return replace(found, region=previous.region) if found and stays else found


class BoxNet:
    """One BlazeFace network.

    Args:
        file_name: its tflite file.
        size: side of its input in pixels.
        grids: (cells a side, anchors a cell) in the order of its outputs.
    """

    def __init__(self, file_name: str, size: int, grids: tuple[tuple[int, int], ...]) -> None:
        self.size = size
        self._net = TFLiteNet(file_name, size)
        self._anchors = np.concatenate([_anchors(*grid) for grid in grids])

    def __call__(self, image: Image, tile: tuple[int, int, int, int] | None = None) -> Boxes:
        """Candidates in the picture, or in its part (x0, y0, x1, y1); coordinates are the whole picture's."""
        left, top, right, bottom = tile or (0, 0, image.shape[1], image.shape[0])
        zoom = self.size / max(right - left, bottom - top)
        width, height = (max(round(n * zoom), 1) for n in (right - left, bottom - top))
        pad_x, pad_y = (self.size - width) // 2, (self.size - height) // 2
        square = np.zeros((self.size, self.size, 3), np.uint8)
        square[pad_y : pad_y + height, pad_x : pad_x + width] = cv2.resize(
            image[top:bottom, left:right],
            (width, height),
            interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR,
        )
        logits, raw = self._net(square, 1 / 127.5, -1.0)
        scores = 1 / (1 + np.exp(-logits.astype(np.float64).clip(-100, 100)))
        keep = scores >= MIN_BOX_SCORE
        values = raw.reshape(-1, 8, 2)[keep].astype(np.float64) / self.size
        values[:, [0, *range(2, 8)]] += self._anchors[keep, None]
        center, half = values[:, 0].copy(), values[:, 1] / 2
        values[:, 0], values[:, 1] = center - half, center + half
        scale = np.array([(right - left) / width, (bottom - top) / height])
        return Boxes((values * self.size - (pad_x, pad_y)) * scale + (left, top), scores[keep])


def _anchors(cells: int, per_cell: int) -> NDArray[np.float64]:
    """[cells² · per_cell, 2] centres in [0, 1], row by row."""
    axis = (np.arange(cells) + 0.5) / cells
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    return np.repeat(grid, per_cell, axis=0)


def _union(parts: list[Boxes]) -> Boxes:
    if not parts:
        return Boxes(np.empty((0, 8, 2)), np.empty(0))
    return Boxes(np.concatenate([p.points for p in parts]), np.concatenate([p.scores for p in parts]))


def _merge(boxes: Boxes) -> list[NDArray[np.float64]]:
    """Weighted non-maximum suppression: overlapping candidates are averaged by score. Points [8, 2], best first."""
    order = np.argsort(-boxes.scores, kind="stable")
    points, scores, corners = boxes.points[order], boxes.scores[order], boxes.corners[order]
    merged: list[NDArray[np.float64]] = []
    while len(scores):
        same = box_iou(corners[0], corners) > NMS_IOU
        same[0] = True
        merged.append(np.average(points[same], axis=0, weights=scores[same]))
        points, scores, corners = points[~same], scores[~same], corners[~same]
    return merged


def _region(points: NDArray[np.float64]) -> Region:
    """Where the mesh looks first: a square about the box, turned with the line through the eyes."""
    x, y = points[:2].mean(axis=0) - 0.5
    across = points[3] - points[2]
    side = REGION_PER_BOX * float((points[1] - points[0]).max())
    return Region(float(x), float(y), side, math.atan2(across[1], across[0]))


def _tiles(image: Image, net_size: int) -> list[tuple[int, int, int, int]]:
    """Half-overlapping squares, three along the short side; none where they would hold no more detail."""
    height, width = image.shape[:2]
    side = min(height, width) // 2
    if side < net_size:
        return []
    starts = [
        np.linspace(0, n - side, math.ceil(2 * (n - side) / side) + 1).astype(int).tolist() for n in (width, height)
    ]
    return [(x, y, x + side, y + side) for y in starts[1] for x in starts[0]]
