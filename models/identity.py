"""Identity embeddings of faces, for metrics: any ArcFace-like ONNX file, through OpenCV."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import CheckpointError

SIDE = 112
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float64
)
"""[5, 2] (x, y): where eyes, nose tip and mouth corners lie in the 112 × 112 crop that ArcFace files are trained on."""


class IdentityNet:
    """Unit embeddings of faces.

    Args:
        path: ONNX file with one input [1, 3, 112, 112] R'G'B' and one output [1, D], e.g. an ArcFace of insightface.
        mean, scale: the input is (code value − mean) · scale, code values 0 to 255. (127.5, 1/127.5) for ArcFace;
            (0, 1) for files that normalise by themselves, such as OpenCV's SFace.

    Raises:
        CheckpointError: no such file, or no network of this form.
    """

    def __init__(self, path: Path, mean: float = 127.5, scale: float = 1 / 127.5) -> None:
        if not path.is_file():
            raise CheckpointError(f"{path}: no such file", "give the path of an ArcFace-like ONNX file")
        self._path, self._mean, self._scale = path, mean, scale
        try:
            self._net = cv2.dnn.readNetFromONNX(str(path))
        except cv2.error as error:
            raise CheckpointError(
                f"{path}: OpenCV cannot read it as ONNX", "check that the file is complete"
            ) from error

    def __call__(self, picture: NDArray[np.uint8], landmarks: NDArray[np.floating]) -> NDArray[np.float32]:
        """Embedding [D] of unit norm.

        Args:
            picture: [H, W, 3] R'G'B'.
            landmarks: [68, 2] (x, y), iBUG order, pixel-index coordinates.
        """
        crop = cv2.warpAffine(picture, alignment(landmarks), (SIDE, SIDE), flags=cv2.INTER_LINEAR)
        blob = cv2.dnn.blobFromImage(crop, self._scale, (SIDE, SIDE), (self._mean,) * 3, swapRB=False)
        try:
            self._net.setInput(blob)
            code = np.asarray(self._net.forward(), np.float32).reshape(-1)
        except cv2.error as error:
            what = f"{self._path}: the network refuses a picture of [1, 3, {SIDE}, {SIDE}]"
            raise CheckpointError(what, "give a face recognition network of ArcFace's form") from error
        return code / max(float(np.linalg.norm(code)), 1e-12)


def alignment(landmarks: NDArray[np.floating]) -> NDArray[np.float64]:
    """[2, 3] similarity transform that brings the face to `TEMPLATE`, least squares over five points."""
    points = landmarks.astype(np.float64)
    five = np.stack([points[36:42].mean(axis=0), points[42:48].mean(axis=0), points[30], points[48], points[54]])
    x, y = five.T
    one, zero = np.ones(5), np.zeros(5)
    design = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    a, b, left, top = np.linalg.lstsq(design, TEMPLATE.T.reshape(-1), rcond=None)[0]
    return np.array([[a, -b, left], [b, a, top]])
