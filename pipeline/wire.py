"""The drawing: every stage a frame passes, joint by joint, in order."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from pipeline.config import RunConfig
from pipeline.flow import Flow
from pipeline.resources import Rendering, batch_size
from stages.assume import Assume
from stages.composite import Composite, output_size
from stages.crop import Crop
from stages.edit import Edit
from stages.invert import Invert
from stages.optimize import Optimize
from stages.pixels import ColorTags, PlaneLayout
from stages.read import Read
from stages.shots import Shots
from stages.style import Style
from stages.synthesize import Synthesize
from stages.track import Track
from stages.types import ClipInfo, OutputFrame, RenderedFrame, ShotFrame
from stages.untouched import Untouched
from stages.write import Write


def wire(
    config: RunConfig,
    clip: ClipInfo,
    rendering: Rendering | None,
    flow: Flow,
    planes: tuple[PlaneLayout, ColorTags],
) -> Generator[OutputFrame, None, None]:
    """From the file to finished frames, lazily; `planes` says how the finished samples lie and what they mean.

    Three threads by default: `flow` puts one behind crop and one behind synthesize; the rest runs on the caller's.
    """
    frames = flow.link("read", Read(config.read, clip).stream())
    shots = flow.link("shots", Shots(config.shots).stream(frames))
    if rendering is None:
        rendered, scale = flow.link("untouched", Untouched().stream(shots)), 1
    else:
        rendered, scale = _render(config, rendering, flow, shots), rendering.model.net.config.output_scale
    size = output_size(config.composite, clip.upright_size, scale)
    return flow.link("composite", Composite(config.composite, size, *planes).stream(rendered))


def _render(
    config: RunConfig, rendering: Rendering, flow: Flow, shots: Generator[ShotFrame, None, None]
) -> Generator[RenderedFrame, None, None]:
    net, recipe, batch = rendering.model.net, rendering.recipe, batch_size(config)
    content, eyes, aligned = recipe.content, config.crop.eye_distance_px, recipe.style == "aligned"
    if content.needs_face:
        faces = flow.link("track", Track(config.track, rendering.detector).stream(shots))
    else:
        faces = flow.link("assume", Assume(eyes).stream(shots))
    styled = flow.link("style", Style(config.style, content, aligned=aligned, eye_distance_px=eyes).stream(faces))
    crops = flow.link("crop", Crop(config.crop, content).stream(styled))
    invert = Invert(net, batch, style=recipe.style, batch_stats=recipe.batch_stats)
    encoded = flow.link("invert", invert.stream(crops))
    if recipe.optimize is not None:
        encoded = flow.link("optimize", Optimize(net, recipe.optimize, config.seed).stream(encoded))
    edited = flow.link("edit", Edit(recipe).stream(encoded))
    return flow.link("synthesize", Synthesize(net, batch).stream(edited))


def wire_to_file(
    config: RunConfig,
    clip: ClipInfo,
    rendering: Rendering | None,
    flow: Flow,
    planes: tuple[PlaneLayout, ColorTags],
    output: Path,
) -> Generator[OutputFrame, None, None]:
    """The same, and on into `output`; yields each frame after it was written."""
    pasted = wire(config, clip, rendering, flow, planes)
    return flow.link("write", Write(config.write, clip, output, config.read.end).stream(pasted))
