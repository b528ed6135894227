"""Scenes that move, with the exact optical flow from each frame to the next.

Flow is the projected motion of the very place on the surface that a pixel's centre sees, by the z-buffer's barycentric
coordinates; behind the head it is the background's shift. A pixel is occluded when the next frame does not show that
place: it is outside the picture, or something nearer stands there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.training.heads.dataset import Order, save
from models.training.heads.geometry import Camera, Mesh, Stage
from models.training.heads.human import load_human
from models.training.heads.raster import interpolate, rasterise
from models.training.heads.sample import Renderer
from models.training.heads.sampling import sample_scene
from models.training.heads.scene import Scene

Floats = NDArray[np.floating]
DEPTH_TOLERANCE = 0.004
"""Metres that a place may lie behind what the next frame sees there and still count as seen."""


@dataclass(frozen=True, slots=True)
class Clip:
    """Frames of one moving scene."""

    frames: NDArray[np.uint8]
    """[N, H, W, 3] sRGB."""
    flow: Floats
    """[N − 1, H, W, 2]: pixels (x, y) from frame n to frame n + 1."""
    occluded: NDArray[np.bool_]
    """[N − 1, H, W]: what frame n sees there, frame n + 1 does not."""
    landmarks: Floats
    """[N, 68, 2]."""


def moving(scene: Scene, count: int) -> list[Scene]:
    """`count` scenes: the head turns, the face talks and blinks, the eyes wander, the camera pans; all smooth."""
    rng = np.random.default_rng([scene.seed, 24])
    time = np.arange(count) / 24.0

    def wave(amplitude: float) -> NDArray[np.float64]:
        rates, phases = rng.uniform(0.25, 1.1, 3), rng.uniform(0, 2 * np.pi, 3)
        total = sum(np.sin(2 * np.pi * rate * time + phase) for rate, phase in zip(rates, phases, strict=True))
        return amplitude * (total - np.asarray(total)[0]) / 3

    yaw, pitch, roll = wave(0.28), wave(0.14), wave(0.10)
    gaze_x, gaze_y, turn = wave(0.15), wave(0.06), wave(0.08)
    smile, jaw, brow = wave(0.5), np.abs(wave(0.5)), np.abs(wave(0.6))
    blink = np.exp(-(((time - rng.uniform(0.2, 1.0)) / 0.07) ** 2))
    pan = wave(0.06), wave(0.03)
    scenes = []
    for i in range(count):
        actions = dict(scene.actions)
        actions["jawOpen"] = float(np.clip(actions.get("jawOpen", 0.0) + jaw[i], 0, 0.6))
        actions["browInnerUp"] = float(np.clip(actions.get("browInnerUp", 0.0) + brow[i], 0, 1))
        for side in ("Left", "Right"):
            actions[f"eyeBlink{side}"] = float(np.clip(actions.get(f"eyeBlink{side}", 0.0) + blink[i], 0, 1))
        scenes.append(
            replace(
                scene,
                head=(scene.head[0] + yaw[i], scene.head[1] + pitch[i], scene.head[2] + roll[i]),
                torso=(scene.torso[0] + turn[i], scene.torso[1]),
                gaze=(scene.gaze[0] + gaze_x[i], scene.gaze[1] + gaze_y[i]),
                smile=float(np.clip(scene.smile + smile[i], 0, 1)),
                actions=actions,
                pan=(float(pan[0][i]), float(pan[1][i])),
            )
        )
    return scenes


def flow_between(
    now: Mesh, then: Mesh, camera: Camera, size: int, pan: tuple[float, float]
) -> tuple[Floats, NDArray[np.bool_]]:
    """Flow [H, W, 2] in pixels and what it leads out of sight [H, W].

    Args:
        now: what the frame sees.
        then: the same triangles, moved.
        camera: of both.
        size: of the picture.
        pan: the background's motion in pixels, right and down.
    """
    screen, inverse = camera.project(now.positions)
    here = rasterise(screen, inverse, now.triangles, size, size)
    screen, inverse = camera.project(then.positions)
    there = rasterise(screen, inverse, then.triangles, size, size)
    y, x = np.indices((size, size)).astype(np.float32)
    target = np.stack([x + np.float32(pan[0]), y + np.float32(pan[1])], axis=-1)
    depth = np.zeros((size, size), np.float32)
    moved, moved_inverse = camera.project(interpolate(here, now.triangles, then.positions))
    target[here.mask] = moved
    depth[here.mask] = moved_inverse
    column, row = (np.rint(target[..., i]).astype(np.int64) for i in (0, 1))
    outside = (column < 0) | (column >= size) | (row < 0) | (row >= size)
    column, row = column.clip(0, size - 1), row.clip(0, size - 1)
    nearest = there.inverse_depth[row, column]
    expected = 1 / (1 / np.maximum(depth, 1e-6) - DEPTH_TOLERANCE)
    hidden = np.where(here.mask, nearest > expected, nearest > 0)
    flow = target - np.stack([x, y], axis=-1)
    return flow.astype(np.float32), outside | hidden


def make_clip(stage: Stage, scene: Scene, count: int, size: int) -> Clip:
    """Move a scene through `count` frames of `size`² pixels."""
    renderer = Renderer(stage, size)
    scenes = moving(scene, count)
    first = renderer.view(scenes[0])
    views = [first, *(renderer.moved(scene, first) for scene in scenes[1:])]
    pairs = []
    for i in range(count - 1):
        pan = tuple((scenes[i + 1].pan[axis] - scenes[i].pan[axis]) * size for axis in (0, 1))
        pairs.append(flow_between(views[i].mesh, views[i + 1].mesh, first.camera, size, (pan[0], pan[1])))
    return Clip(
        frames=np.stack([renderer.image(scene, view) for scene, view in zip(scenes, views, strict=True)]),
        flow=np.stack([flow for flow, _ in pairs]) if pairs else np.zeros((0, size, size, 2), np.float32),
        occluded=np.stack([hidden for _, hidden in pairs]) if pairs else np.zeros((0, size, size), bool),
        landmarks=np.stack([first.camera.project(view.mesh.landmarks)[0] for view in views]),
    )


def write_clips(order: Order, clips: int, frames: int) -> Iterator[Path]:
    """Write `clips` files `clips/clip_000.npz` with the arrays of `Clip`; those that are there stay."""
    folder = order.out / "clips"
    paths = [folder / f"clip_{i:03d}.npz" for i in range(clips)]
    missing = [(i, path) for i, path in enumerate(paths) if not path.exists()]
    if not missing:
        return
    folder.mkdir(parents=True, exist_ok=True)
    stage = Stage(load_human())
    for i, path in missing:
        clip = make_clip(stage, sample_scene(order.scene_seed(900_000 + i)), frames, order.size)
        held = {"frames": clip.frames, "flow": clip.flow, "occluded": clip.occluded, "landmarks": clip.landmarks}
        yield save(path, held)
