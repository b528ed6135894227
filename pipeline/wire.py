"""The drawing: every stage a frame passes, joint by joint, in order."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from pipeline.config import RunConfig
from pipeline.flow import Flow
from pipeline.resources import Resources, batch_size
from stages.composite import Composite, output_size
from stages.crop import Crop
from stages.edit import Edit
from stages.invert import Invert
from stages.pixels import ColorTags, PlaneLayout
from stages.read import Read
from stages.shots import Shots
from stages.style import Style
from stages.synthesize import Synthesize
from stages.track import Track
from stages.types import ClipInfo, OutputFrame
from stages.untouched import Untouched
from stages.write import Write


def wire(
    config: RunConfig,
    clip: ClipInfo,
    resources: Resources,
    flow: Flow,
    planes: tuple[PlaneLayout, ColorTags],
) -> Generator[OutputFrame, None, None]:
    """From the file to finished frames, lazily; `planes` says how the finished samples lie and what they mean.

    Three threads by default: `flow` puts one behind crop and one behind synthesize; the rest runs on the caller's.
    """
    frames = flow.link("read", Read(config.read, clip).stream())
    shots = flow.link("shots", Shots(config.shots).stream(frames))
    if resources.model is None or resources.detector is None:
        rendered, scale = flow.link("untouched", Untouched().stream(shots)), 1
    else:
        net, batch, scale = resources.model.net, batch_size(config), resources.model.net.config.output_scale
        faces = flow.link("track", Track(config.track, resources.detector).stream(shots))
        styled = flow.link("style", Style(config.style).stream(faces))
        crops = flow.link("crop", Crop(config.crop).stream(styled))
        encoded = flow.link("invert", Invert(net, batch).stream(crops))
        edited = flow.link("edit", Edit(config.task.recipe()).stream(encoded))
        rendered = flow.link("synthesize", Synthesize(net, batch).stream(edited))
    size = output_size(config.composite, clip.upright_size, scale)
    return flow.link("composite", Composite(config.composite, size, *planes).stream(rendered))


def wire_to_file(
    config: RunConfig,
    clip: ClipInfo,
    resources: Resources,
    flow: Flow,
    planes: tuple[PlaneLayout, ColorTags],
    output: Path,
) -> Generator[OutputFrame, None, None]:
    """The same, and on into `output`; yields each frame after it was written."""
    pasted = wire(config, clip, resources, flow, planes)
    return flow.link("write", Write(config.write, clip, output, config.read.end).stream(pasted))
