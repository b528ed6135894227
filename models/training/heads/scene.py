"""What a picture shows: one seed → one `Scene`. Numbers only; nothing here is drawn.

Everything that varies is a field, so an edit is `scene.edited(age=15)`: the same scene with one thing changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from models.training.heads.errors import HeadsError
from models.training.heads.hair import HairStyle

Rgb = tuple[float, float, float]
"""Linear light unless said otherwise, [0, 1]."""

HAIR_COLORS: Mapping[str, Rgb] = {
    "black": (0.012, 0.010, 0.010),
    "dark brown": (0.035, 0.020, 0.013),
    "brown": (0.085, 0.045, 0.024),
    "auburn": (0.15, 0.045, 0.018),
    "red": (0.32, 0.10, 0.03),
    "dark blond": (0.22, 0.135, 0.065),
    "blond": (0.48, 0.33, 0.16),
    "grey": (0.28, 0.28, 0.29),
    "white": (0.62, 0.61, 0.59),
}
IRIS_COLORS: tuple[Rgb, ...] = (
    (0.045, 0.020, 0.008),
    (0.090, 0.042, 0.014),
    (0.16, 0.095, 0.03),
    (0.10, 0.13, 0.045),
    (0.07, 0.14, 0.22),
    (0.13, 0.20, 0.26),
    (0.16, 0.17, 0.17),
)
EDITS = ("age", "smile", "hair", "eye_size", "gaze")
"""Names that `Scene.edited` takes."""


@dataclass(frozen=True, slots=True)
class Skin:
    """Colour and marks of the skin; amounts in [0, 1]."""

    melanin: float
    blood: float
    freckles: float
    stubble: float
    makeup: float
    """Colour on lips, lids and cheeks."""
    brow_density: float
    brow_thickness: float
    gloss: float
    seed: int


@dataclass(frozen=True, slots=True)
class Light:
    """One key light and the sky."""

    direction: Rgb
    """Unit vector towards the key light, in the camera's axes: x right, y away, z up."""
    key: Rgb
    sky: Rgb
    ground: Rgb
    rim: float


@dataclass(frozen=True, slots=True)
class Cloth:
    """Clothing."""

    color: Rgb
    second: Rgb
    pattern: str
    """plain, stripes or check."""
    neckline: float
    """Canonical centimetres: height at the front of the neck."""
    collar: bool


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything there is to see."""

    seed: int
    years: float
    """Apparent age, 14 to 80."""
    phenotypes: Mapping[str, float]
    """anny's, without age."""
    local: Mapping[str, float]
    actions: Mapping[str, float]
    """ARKit facial actions without the smile."""
    smile: float
    """[0, 1]."""
    gaze: tuple[float, float]
    """Radians, to the image's right and up, against the head's axis."""
    head: tuple[float, float, float]
    """Radians: yaw (to the image's right), pitch (up), roll (clockwise on the screen)."""
    torso: tuple[float, float]
    """Radians: yaw, roll of the shoulders."""
    skin: Skin
    iris: Rgb
    pupil: float
    """Radius as a share of the iris."""
    hair_color: Rgb
    hair: HairStyle
    cloth: Cloth
    light: Light
    distance: float
    """Of the camera from the eyes, metres."""
    eye_distance: float
    """Pixels between the eyes, head on, in a picture 256 pixels wide."""
    offset: tuple[float, float]
    """Of the point between the eyes from the picture's centre, as a share of its width: right, down."""
    background: int
    """Seed of the background."""
    pan: tuple[float, float] = (0.0, 0.0)
    """Shift of the background, as a share of the picture's width: right, down."""
    eye_size: float = 0.0
    """[−1, 1] added to the model's size of the eyes."""

    def edited(self, **changes: float | Rgb) -> Scene:
        """This scene with something added: age (years), smile, eye_size, gaze (radians to the right), hair (a colour).

        Raises:
            HeadsError: no such edit.
        """
        scene = self
        for name, amount in changes.items():
            if name == "hair" and isinstance(amount, tuple):
                scene = replace(scene, hair_color=amount)
            elif isinstance(amount, tuple) or name not in EDITS or name == "hair":
                raise HeadsError(
                    f"no edit {name!r} by {amount!r}", f"the edits are {', '.join(EDITS)}; hair takes a colour"
                )
            elif name == "age":
                scene = replace(scene, years=float(np.clip(scene.years + amount, 14, 80)))
            elif name == "smile":
                scene = replace(scene, smile=float(np.clip(scene.smile + amount, 0, 1)))
            elif name == "eye_size":
                scene = replace(scene, eye_size=float(np.clip(scene.eye_size + amount, -1, 1)))
            else:
                scene = replace(scene, gaze=(scene.gaze[0] + amount, scene.gaze[1]))
        return scene

    @property
    def grey(self) -> float:
        """Share of the hair that has lost its colour: none at 35, nearly all at 80, each person a little different."""
        own = (self.hair.seed % 97) / 97 * 14 - 7
        return float(np.clip((self.years - 42 + own) / 30, 0, 1)) ** 1.3

    def attributes(self) -> dict[str, float]:
        """A flat dict of floats: what a classifier or an edit is trained on."""
        shown = (1 - self.grey) * np.array(self.hair_color) + self.grey * 0.45
        return {
            "age": self.years,
            "gender": float(self.phenotypes["gender"]),
            "smile": self.smile,
            "mouth_open": float(self.actions.get("jawOpen", 0.0)),
            "blink": float(self.actions.get("eyeBlinkLeft", 0.0)),
            "brow_up": float(self.actions.get("browInnerUp", 0.0)),
            "gaze_x": self.gaze[0],
            "gaze_y": self.gaze[1],
            "yaw": self.head[0],
            "pitch": self.head[1],
            "roll": self.head[2],
            "eye_size": self.eye_size,
            "melanin": self.skin.melanin,
            "makeup": self.skin.makeup,
            "stubble": self.skin.stubble,
            "bald": float(self.hair.comb == "bald"),
            "hair_length": self.hair.length,
            "fringe": self.hair.fringe,
            "hair_r": float(shown[0]),
            "hair_g": float(shown[1]),
            "hair_b": float(shown[2]),
            "eye_distance": self.eye_distance,
        }
