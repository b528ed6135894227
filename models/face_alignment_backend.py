"""The second face detector: S3FD and 2DFAN4 of the package face-alignment (Bulat & Tzimiropoulos, arXiv 1703.07332).

An optional extra: neither the package nor its weights are installed with the project. Slow on a CPU (seconds a frame).
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.errors import CheckpointError, ModelError
from models.faces import Detection, Image, Region, bounds, drop_duplicates

INSTALL = "pip install --no-deps face-alignment==1.5.0 && pip install scikit-image numba tqdm"
S3FD, FAN = "s3fd-619a316812.pth", "2DFAN4-11f355bf06.pth.tar"
URL = "https://www.adrianbulat.com/downloads/python-fan/"
FAN_CENTER = 0.12
"""FAN looks this share of the box's height above its centre."""


class FaceAlignmentDetector:
    """`FaceDetector` for patience and quality.

    Args:
        weights_dir: folder of the two weight files; None: $TORCH_HOME/hub/checkpoints.
        device: torch's word for it: cpu, cuda, cuda:1.
        fetch: download missing weight files into the folder. Without it the network is never touched.

    Raises:
        CheckpointError: the package or a weight file is missing, or a file is damaged.
        ModelError: there is no such device.
    """

    name = "face-alignment"

    def __init__(self, weights_dir: Path | None = None, device: str = "cpu", fetch: bool = False) -> None:
        try:
            package = importlib.import_module("face_alignment")
            networks = importlib.import_module("face_alignment.models")
            self.version = metadata.version("face-alignment")
        except ImportError as error:
            raise CheckpointError(
                f"track.detector: face-alignment cannot be imported ({error})", f"run `{INSTALL}`"
            ) from error
        try:
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            why = str(error).splitlines()[0]
            raise ModelError(f"track.device: {device} cannot be used ({why})", "set track.device to cpu") from error
        folder = weights_dir or Path(torch.hub.get_dir()) / "checkpoints"
        paths = {file: _weight_file(folder, file, fetch) for file in (S3FD, FAN)}
        self.weights_sha256: Mapping[str, str] = {
            file: hashlib.sha256(path.read_bytes()).hexdigest() for file, path in paths.items()
        }

        class LocalWeights(package.FaceAlignment):
            """Takes 2DFAN4 from the folder: the package itself has no argument for that and would download."""

            def _load_native(self, network_name: str, network_size: int, device: str, dtype: torch.dtype) -> Any:
                net = networks.FAN(network_size)
                net.load_state_dict(torch.load(paths[FAN], map_location=device, weights_only=True))
                return net.to(device, dtype=dtype).eval()

        try:
            self._aligner = LocalWeights(
                package.LandmarksType.TWO_D,
                device=device,
                flip_input=True,
                face_detector="sfd",
                face_detector_kwargs={"path_to_detector": str(paths[S3FD])},
                compile=False,  # with it and without a C++ compiler every later call fails
            )
        except Exception as error:  # a damaged pickle can fail in any way
            raise CheckpointError(
                f"{folder}: the face-alignment weights cannot be loaded ({str(error).splitlines()[0]})",
                f"delete {S3FD} and {FAN} there and fetch them again from {URL}",
            ) from error

    def detect(self, image: Image) -> list[Detection]:
        found: list[Detection] = []
        for x0, y0, x1, y1, score in self._aligner.face_detector.detect_from_image(image.copy()):
            first = self._align(image, _region(np.array([x0, y0, x1, y1], np.float64)))
            # Again from its own landmarks, as the package's author advises: independent of the box's jitter.
            second = self.refine(image, first)
            found.append(replace(second, score=min(float(score), 1.0)))
        return drop_duplicates(found)

    def reach(self, previous: Detection) -> None:
        """The package pads and resizes as it likes: it gets the whole picture."""

    def refine(self, image: Image, previous: Detection, corner: tuple[int, int] = (0, 0)) -> Detection:
        if corner != (0, 0):
            raise ValueError("face-alignment takes whole pictures")
        found = self._align(image, previous.region)
        return replace(found, region=previous.region) if previous.region.is_close(found.region) else found

    def _align(self, image: Image, region: Region) -> Detection:
        half = region.side / 2
        box = [region.x - half, region.y - half, region.x + half, region.y + half]
        landmarks, scores, _ = self._aligner.get_landmarks_from_image(
            image, detected_faces=[box], return_landmark_score=True
        )
        points = np.asarray(landmarks[0], np.float32)
        score = float(np.mean(scores[0])) / 2  # the heat maps of the picture and its mirror image are summed
        own = _region(bounds(points).astype(np.float64))
        return Detection(bounds(points), min(max(score, 0.0), 1.0), points, own)


def _region(box: NDArray[np.float64]) -> Region:
    """The square that makes FAN look where it would for `box`: its scale is (width + height) / 195."""
    (x, y), (width, height) = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    side = (width + height) / 2
    return Region(float(x), float(y - FAN_CENTER * (height - side)), float(side), 0.0)


def _weight_file(folder: Path, file: str, fetch: bool) -> Path:
    path = folder / file
    if not path.is_file() and fetch:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(URL + file, str(path), hash_prefix=file.split("-")[1].split(".")[0])
        except (OSError, RuntimeError) as error:
            raise CheckpointError(
                f"{URL + file}: cannot be fetched ({error})", f"put the file into {folder}"
            ) from error
    if not path.is_file():
        raise CheckpointError(
            f"{path}: the weights of face-alignment are missing",
            f"run `curl -L --create-dirs -o {path} {URL + file}`, or set track.detector to blazeface",
        )
    return path
