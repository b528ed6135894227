"""One seed → one `Scene`: who, how, lit from where. The distributions of the data set are here and nowhere else."""

from __future__ import annotations

import numpy as np

from models.training.heads.hair import HairStyle
from models.training.heads.scene import HAIR_COLORS, IRIS_COLORS, Cloth, Light, Rgb, Scene, Skin

LOCAL_SYMMETRIC = (
    "eye-corner1-up", "eye-corner2-up", "eye-height1-incr", "eye-height2-incr", "eye-height3-incr",
    "eye-eyefold-angle-up", "eye-trans-out", "eye-push1-out", "eye-bag-incr", "cheek-volume-incr",
    "cheek-bones-incr", "cheek-inner-incr", "ear-scale-incr", "ear-flap-incr", "ear-wing-incr", "ear-lobe-incr",
)  # fmt: skip
"""Local changes that both sides share (`l-`, `r-`)."""
LOCAL_SINGLE = (
    "chin-height-incr", "chin-prominent-incr", "chin-width-incr", "chin-bones-incr", "chin-jaw-drop-incr",
    "chin-cleft-incr", "eyebrows-angle-up", "eyebrows-trans-up", "eyebrows-trans-forward", "forehead-temple-incr",
    "forehead-scale-vert-incr", "head-fat-incr", "head-scale-horiz-incr", "head-scale-vert-incr", "head-angle-out",
    "mouth-scale-horiz-incr", "mouth-upperlip-height-incr", "mouth-lowerlip-height-incr",
    "mouth-upperlip-volume-incr", "mouth-lowerlip-volume-incr", "mouth-cupidsbow-incr", "mouth-angles-up",
    "mouth-trans-up", "nose-scale-vert-incr", "nose-scale-horiz-incr", "nose-scale-depth-incr", "nose-hump-incr",
    "nose-point-up", "nose-point-width-incr", "nose-width1-incr", "nose-width2-incr", "nose-width3-incr",
    "nose-greek-incr", "nose-flaring-incr", "nose-base-up", "nose-volume-incr", "neck-scale-horiz-incr",
    "neck-double-incr",
)  # fmt: skip


def sample_scene(seed: int) -> Scene:
    """The scene of `seed`; the same on every machine with the same release of numpy's generators."""
    rng = np.random.default_rng([seed, 68])
    gender = float(np.clip(rng.choice([0.08, 0.92]) + rng.normal(0, 0.1), 0, 1))
    male = gender < 0.5
    years = float(
        np.clip(
            rng.choice([rng.uniform(15, 36), rng.uniform(24, 60), rng.uniform(50, 80)], p=[0.5, 0.37, 0.13]), 14, 80
        )
    )
    melanin = float(np.clip(rng.beta(1.0, 2.1), 0.02, 0.98))
    african, asian = melanin**1.5 * rng.uniform(0.5, 1), rng.uniform(0, 1) ** 1.5 * (1 - abs(melanin - 0.4))
    phenotypes = {
        "gender": gender,
        "muscle": float(rng.uniform(0.35, 0.65)),
        "weight": float(np.clip(rng.normal(0.5, 0.16), 0.15, 0.95)),
        "height": 0.5,
        "proportions": float(rng.uniform(0.45, 0.85)),
        "cupsize": 0.4,
        "african": float(african),
        "asian": float(max(asian, 0.02)),
        "caucasian": float(rng.uniform(0.1, 1) * (1 - melanin) + 0.05),
    }
    local = {name: float(np.clip(rng.normal(0, 0.33), -0.85, 0.85)) for name in LOCAL_SINGLE}
    for name in LOCAL_SYMMETRIC:
        both = rng.normal(0, 0.33)
        for side in "lr":
            local[f"{side}-{name}"] = float(np.clip(both + rng.normal(0, 0.04), -0.85, 0.85))
    yaw = float(np.clip(rng.normal(0, 0.27), -0.61, 0.61))
    pitch = float(np.clip(rng.normal(0.0, 0.13), -0.35, 0.35))
    actions, smile = _expression(rng)
    gaze = (
        float(np.clip(rng.normal(-0.5 * yaw, 0.16), -0.42, 0.42)),
        float(np.clip(rng.normal(-0.3 * pitch, 0.08), -0.2, 0.18)),
    )
    hair_color = _hair_color(rng, melanin)
    makeup = float(rng.uniform(0.1, 1.0)) if not male and rng.random() < 0.6 else 0.0
    distance = float(np.exp(rng.uniform(np.log(0.9), np.log(2.8))))
    return Scene(
        seed=seed,
        years=years,
        phenotypes=phenotypes,
        local=local,
        actions=actions,
        smile=smile,
        gaze=gaze,
        head=(yaw, pitch, float(np.clip(rng.normal(0, 0.10), -0.35, 0.35))),
        torso=(float(0.4 * yaw + rng.normal(0, 0.12)), float(rng.normal(0, 0.03))),
        skin=Skin(
            melanin=melanin,
            blood=float(rng.uniform(0.2, 1.0)),
            freckles=float(rng.random() ** 4 * (1 - melanin)),
            stubble=float(rng.uniform(0.15, 1.0)) if male and rng.random() < 0.55 else 0.0,
            makeup=makeup,
            brow_density=float(rng.uniform(0.5, 1.0)),
            brow_thickness=float(rng.uniform(0.75, 1.3) * (1.15 if male else 0.85)),
            gloss=float(rng.uniform(0.25, 1.0)),
            seed=int(rng.integers(1 << 30)),
        ),
        iris=_jitter(rng, IRIS_COLORS[int(rng.integers(2 if melanin > 0.6 else len(IRIS_COLORS)))], 0.2),
        pupil=float(rng.uniform(0.28, 0.5)),
        hair_color=hair_color,
        hair=_style(rng, male, years),
        cloth=_cloth(rng),
        light=_light(rng, melanin),
        distance=distance,
        eye_distance=float(np.clip(rng.normal(58, 9), 34, 78)),
        offset=(float(rng.normal(0, 0.035)), float(rng.normal(-0.03, 0.03))),
        background=int(rng.integers(1 << 30)),
    )


def _expression(rng: np.random.Generator) -> tuple[dict[str, float], float]:
    smile = float(rng.choice([0.0, rng.uniform(0.1, 0.6), rng.uniform(0.5, 1.0)], p=[0.4, 0.35, 0.25]))
    actions: dict[str, float] = {}
    kind = rng.choice(
        ["rest", "talk", "surprise", "frown", "squint", "blink", "free"], p=[0.34, 0.24, 0.08, 0.1, 0.08, 0.06, 0.1]
    )
    s = float(rng.uniform(0.3, 1.0))
    if kind == "talk":
        actions |= {"jawOpen": float(rng.beta(1.3, 3.0) * 0.7)}
        shape = rng.choice(["mouthFunnel", "mouthPucker", "mouthLowerDown", "mouthUpperUp", "mouthStretch", "none"])
        if shape in ("mouthFunnel", "mouthPucker"):
            actions[shape] = 0.6 * s
        elif shape != "none":
            actions |= {f"{shape}{side}": 0.6 * s for side in ("Left", "Right")}
    elif kind == "surprise":
        actions |= {
            "browInnerUp": s,
            "browOuterUpLeft": s,
            "browOuterUpRight": s,
            "jawOpen": 0.4 * s,
            "eyeWideLeft": s,
            "eyeWideRight": s,
        }
    elif kind == "frown":
        actions |= {"browDownLeft": s, "browDownRight": s, "mouthFrownLeft": 0.6 * s, "mouthFrownRight": 0.6 * s}
    elif kind == "squint":
        actions |= {"eyeSquintLeft": s, "eyeSquintRight": s, "cheekSquintLeft": 0.6 * s, "cheekSquintRight": 0.6 * s}
    elif kind == "blink":
        actions |= {"eyeBlinkLeft": s, "eyeBlinkRight": s}
    elif kind == "free":
        names = [
            "browOuterUpLeft",
            "browOuterUpRight",
            "mouthLeft",
            "mouthRight",
            "mouthDimpleLeft",
            "noseSneerLeft",
            "jawLeft",
        ]
        actions |= {str(name): float(rng.uniform(0, 0.6)) for name in rng.choice(names, 3, replace=False)}
    if smile > 0.4 and rng.random() < 0.6 and "jawOpen" not in actions:
        actions["jawOpen"] = float(rng.uniform(0.0, 0.25) * smile)
    return actions, smile


def _hair_color(rng: np.random.Generator, melanin: float) -> Rgb:
    dark = np.array([5, 4, 3, 0.6, 0.4, 0.3, 0.4, 0.3, 0.1])
    light = np.array([1.5, 2.5, 3.5, 1.2, 1.2, 2.5, 2.5, 0.5, 0.2])
    weights = dark * melanin + light * (1 - melanin) ** 2
    color = list(HAIR_COLORS.values())[int(rng.choice(len(weights), p=weights / weights.sum()))]
    return _jitter(rng, color, 0.2)


def _style(rng: np.random.Generator, male: bool, years: float) -> HairStyle:
    if male and rng.random() < 0.08 + 0.14 * (years > 45):
        comb, length = "bald", 0.0
    elif male and rng.random() < 0.85:
        comb = str(rng.choice(["back", "side", "forward", "up"], p=[0.27, 0.35, 0.26, 0.12]))
        length = float(rng.uniform(0.012, 0.055))
    else:
        comb = str(rng.choice(["centre", "side", "back"], p=[0.42, 0.38, 0.20]))
        length = float(
            rng.choice([rng.uniform(0.05, 0.14), rng.uniform(0.16, 0.24), rng.uniform(0.24, 0.38)], p=[0.25, 0.35, 0.4])
        )
    curly = rng.random() < 0.35
    return HairStyle(
        comb=comb,
        length=length,
        fringe=float(rng.uniform(0.3, 1.0)) if rng.random() < (0.35 if not male else 0.2) and comb != "back" else 0.0,
        part=float(rng.choice([-1, 1]) * rng.uniform(0.018, 0.035)) if comb == "side" else float(rng.normal(0, 0.004)),
        volume=float(rng.uniform(0.003, 0.016)),
        curl=float(rng.uniform(0.003, 0.011) if curly else rng.uniform(0.0, 0.002)) * min(1.0, length / 0.06),
        recede=float(np.clip(rng.normal(0.3, 0.4) + (years - 35) / 25 * male, -0.3, 3.2)),
        taper=float(rng.uniform(0.4, 1.0)) if male and length < 0.1 else 0.0,
        strands=int(2600 + 1200 * (length > 0.12)),
        seed=int(rng.integers(1 << 30)),
    )


def _cloth(rng: np.random.Generator) -> Cloth:
    color = _vivid(rng)
    return Cloth(
        color=color,
        second=_jitter(rng, color, 0.5) if rng.random() < 0.5 else _vivid(rng),
        pattern=str(rng.choice(["plain", "stripes", "check"], p=[0.65, 0.2, 0.15])),
        neckline=float(rng.uniform(-22, -15.5)),
        collar=bool(rng.random() < 0.35),
    )


def _vivid(rng: np.random.Generator) -> Rgb:
    value, grey = rng.uniform(0.02, 0.6), rng.uniform(0, 1) ** 0.7
    color = rng.uniform(0, 1, 3) ** 1.5
    color = value * (grey + (1 - grey) * color / max(color.max(), 0.1))
    return float(color[0]), float(color[1]), float(color[2])


def _light(rng: np.random.Generator, melanin: float) -> Light:
    turn, rise = rng.uniform(-1.25, 1.25), rng.uniform(0.05, 1.0)
    warm = rng.normal(0, 0.16)
    tint = np.array([1 + warm, 1.0, 1 - warm])
    sky = rng.uniform(0.22, 0.75)
    cool = rng.normal(0, 0.07)
    key = rng.uniform(0.75, 1.35) * (1.25 - 0.6 * sky) * tint
    up = sky * np.array([1 - cool, 1.0, 1 + cool])
    down = sky * rng.uniform(0.25, 0.8) * _jitter_array(rng, 0.15)
    lit = 0.75 * key * max(np.cos(turn) * np.cos(rise), 0.15) + 0.5 * (up + down)  # on a face that looks at the camera
    gain = (1 + 0.8 * melanin) * np.exp(rng.normal(0.05, 0.2)) / lit.mean()
    key, up, down = key * gain, up * gain, down * gain
    direction = (np.sin(turn) * np.cos(rise), -np.cos(turn) * np.cos(rise), np.sin(rise))
    return Light(
        direction=(float(direction[0]), float(direction[1]), float(direction[2])),
        key=tuple(key.tolist()),
        sky=tuple(up.tolist()),
        ground=tuple(down.tolist()),
        rim=float(rng.uniform(0, 0.8) if rng.random() < 0.5 else 0.0),
    )


def _jitter_array(rng: np.random.Generator, amount: float) -> np.ndarray:
    return np.exp(rng.normal(0, amount, 3))


def _jitter(rng: np.random.Generator, color: Rgb, amount: float) -> Rgb:
    level = np.exp(rng.normal(0, amount))
    red, green, blue = (np.array(color) * level * _jitter_array(rng, amount * 0.3)).clip(0, 1).tolist()
    return red, green, blue
