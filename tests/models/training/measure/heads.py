"""Drawn heads as `Samples` in memory, whose age is written in their faces as folds."""

from collections.abc import Sequence

import cv2
import numpy as np

from tests.models.training.drawn_heads import draw_head

PX = 128


class DrawnHeads:
    """Age is the number of folds on the cheeks, smile the bend of a line under the mouth, eye_size the eyes'."""

    attributes = ("age", "smile", "eye_size", "hair_r", "hair_g", "hair_b")

    def __init__(self, count: int, age_shows: bool = True) -> None:
        self._count, self._age_shows = count, age_shows

    def __len__(self) -> int:
        return self._count

    def having(self, name: str) -> list[int]:
        if name.startswith("variant_"):
            return list(range(0, self._count, 2)) if name in ("variant_age", "variant_hair") else []
        return list(range(self._count))

    def _draw(self, number: int, age: float, hair: tuple[int, int, int]):
        rng = np.random.default_rng([number, 5])
        smile, eye = rng.uniform(0, 1), rng.uniform(-1, 1)
        image, parsing, landmarks = draw_head(np.random.default_rng(number), PX, 1.4 + 0.6 * eye, hair)
        x, y = landmarks[30]
        shown = age if self._age_shows else 40
        for fold in range(round(shown / 8)):
            height = round(float(y) - 14 + 2.6 * fold)
            for side in (-1, 1):
                cv2.line(image, (round(x + 8 * side), height), (round(x + 22 * side), height), (90, 60, 50), 1)
        bend = round(8 * smile)
        corners = [
            (round(x - 14), round(y + 20 - bend)),
            (round(x), round(y + 20)),
            (round(x + 14), round(y + 20 - bend)),
        ]
        cv2.polylines(image, [np.array(corners)], False, (60, 20, 20), 2)
        level = float(np.mean(hair)) / 255
        return image, parsing, landmarks, np.array([age, smile, eye, level, level, level], np.float32)

    def load(self, index: int, names: Sequence[str]) -> dict[str, np.ndarray]:
        rng = np.random.default_rng([index, 6])
        age, hair = float(rng.uniform(15, 75)), (40, 30, 20)
        image, parsing, landmarks, attributes = self._draw(index, age, hair)
        held = {"image": image, "parsing": parsing, "landmarks": landmarks, "attributes": attributes}
        held["toon3d"], held["toon_landmarks"] = 255 - image, landmarks + np.float32(2)
        if index % 2 == 0:
            older = self._draw(index, age + 25, hair)
            lighter = self._draw(index, age, (200, 190, 150))
            held |= {"variant_age": older[0], "attributes_age": older[3]}
            held |= {"variant_hair": lighter[0], "attributes_hair": lighter[3]}
        return {name: held[name] for name in names if name in held}
