"""The drawing: every stage a frame passes, joint by joint, in order."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Generator
from functools import partial
from pathlib import Path

from models.config import ALIGNED_SIZE
from models.latent_file import load_latents
from models.styleganex import StyleGANEX
from pipeline.config import RunConfig
from pipeline.flow import Flow
from pipeline.resources import Rendering, batch_size
from pipeline.spread import spread
from stages.align import Align
from stages.analysis import Analysis
from stages.assume import Assume
from stages.codes import EncoderCodes
from stages.composite import Composite, CompositeConfig, output_size
from stages.crop import Crop
from stages.edit import Edit
from stages.invert import Invert
from stages.latents import FromLatents, SaveLatents, latent_info
from stages.optimize import Optimize
from stages.pixels import ColorTags, PlaneLayout
from stages.read import Read, ReadConfig
from stages.replay import Replay
from stages.settle import Settle
from stages.shots import Shots
from stages.steady import Steady, SteadyFeature
from stages.style import Style
from stages.synthesize import Synthesize
from stages.track import Track
from stages.types import (
    ClipInfo,
    CroppedFrame,
    EncodedFrame,
    FaceFrame,
    OutputFrame,
    RenderedFrame,
    ShotFrame,
    StyledFrame,
)
from stages.untouched import Untouched
from stages.write import Write

log = logging.getLogger(__name__)


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
    if rendering is None:
        rendered = flow.link("untouched", Untouched().stream(_shots(config, clip, flow, detect=config.report.qc)))
    else:
        rendered = _render(config, clip, rendering, flow, _styled(config, clip, rendering, flow))
    size = finished_size(config, clip, rendering)
    return flow.link("composite", Composite(_composite(config), size, *planes).stream(rendered))


def _composite(config: RunConfig) -> CompositeConfig:
    if config.crop.frame != "aligned":
        return config.composite
    # That square is the picture: nothing of a source stands around or behind it.
    return config.composite.model_copy(update={"matte": "window", "mode": "replace"})


def finished_size(config: RunConfig, clip: ClipInfo, rendering: Rendering | None) -> tuple[int, int]:
    """(width, height) of the finished, upright picture; an aligned face has the model's own size by default."""
    scale = rendering.model.net.config.output_scale if rendering else 1
    if rendering is None or config.crop.frame != "aligned":
        return output_size(config.composite, clip.upright_size, scale)
    composite = config.composite
    if composite.size == "source":
        composite = composite.model_copy(update={"size": "native"})
    return output_size(composite, (ALIGNED_SIZE, ALIGNED_SIZE), scale)


def _shots(config: RunConfig, clip: ClipInfo, flow: Flow, detect: bool = True) -> Generator[ShotFrame, None, None]:
    frames = flow.link("read", Read(config.read, clip).stream())
    shots = config.shots
    if not detect and shots.cuts is None:  # nobody asks for them
        shots = shots.model_copy(update={"enabled": False})
    return flow.link("shots", Shots(shots).stream(frames))


def wire_faces(config: RunConfig, clip: ClipInfo, rendering: Rendering, flow: Flow) -> Generator[FaceFrame, None, None]:
    """From the file to faces with smooth geometry: what a render begins with, and all that an analysis does."""
    shots = _shots(config, clip, flow)
    if not rendering.recipe.content.needs_face:
        return flow.link("assume", Assume(config.crop.eye_distance_px).stream(shots))
    tracked = flow.link("track", Track(config.track, rendering.detector).stream(shots))
    return flow.link("settle", Settle(config.track).stream(tracked))


def _styled(config: RunConfig, clip: ClipInfo, rendering: Rendering, flow: Flow) -> Generator[StyledFrame, None, None]:
    codes = None
    if rendering.recipe.style == "aligned":
        codes = EncoderCodes(rendering.model.net, rendering.recipe.content, config.crop.eye_distance_px)
    if rendering.analysis is not None:
        return _replayed(config, clip, rendering, flow, rendering.analysis, codes)
    faces = wire_faces(config, clip, rendering, flow)
    return flow.link("style", Style(config.style, codes).stream(faces))


def _replayed(
    config: RunConfig,
    clip: ClipInfo,
    rendering: Rendering,
    flow: Flow,
    analysis: Analysis,
    encoder: EncoderCodes | None,
) -> Generator[StyledFrame, None, None]:
    read = _with_neighbours(config, analysis)
    start_pts = analysis.pts(read.start)
    if not rendering.encode:
        frames = flow.link("read", Read(read, clip, start_pts).stream())
        return flow.link("replay", Replay(analysis, config.track, config.style, clip, read).stream(frames))
    made_by = analysis.table.model.name
    log.warning("%s: made with %s: w+ are computed anew with %s", analysis.folder, made_by, rendering.model.name)
    # Not a link of its own: its frames are not counted from the range's first.
    frames = Read(read.model_copy(update={"start": 0, "end": None}), clip).stream()
    return flow.link("replay", Replay(analysis, config.track, config.style, clip, read, encoder).stream(frames))


def _render(
    config: RunConfig, clip: ClipInfo, rendering: Rendering, flow: Flow, styled: Generator[StyledFrame, None, None]
) -> Generator[RenderedFrame, None, None]:
    recipe = rendering.recipe
    if config.crop.frame == "aligned" and recipe.content.needs_face:
        styled = flow.link("align", Align().stream(styled))
    device = rendering.model.net.generator.constant.device
    crops = flow.link("crop", Crop(config.crop, recipe.content, device).stream(styled))
    return _steadied(config, rendering, flow, through_network(config, clip, rendering, flow, crops))


def through_network(
    config: RunConfig, clip: ClipInfo, rendering: Rendering, flow: Flow, crops: Generator[CroppedFrame, None, None]
) -> Generator[RenderedFrame, None, None]:
    """From windows to pictures: one network on the flow's own thread, or several in turns, each on its own."""
    network = partial(_network, config, clip, rendering)
    if not rendering.replicas:
        return network(flow, rendering.model.net, crops)
    nets, batch = (rendering.model.net, *rendering.replicas), batch_size(config)
    chains = [partial(network, *own) for own in zip(flow.split(len(nets), batch), nets, strict=True)]
    return flow.link("network", spread(crops, chains, batch), queue_of="synthesize")


def _network(
    config: RunConfig,
    clip: ClipInfo,
    rendering: Rendering,
    flow: Flow,
    net: StyleGANEX,
    crops: Generator[CroppedFrame, None, None],
) -> Generator[RenderedFrame, None, None]:
    """The only network or one of several."""
    recipe, batch = rendering.recipe, batch_size(config)
    memory = {"memory": config.memory, "sharing": rendering.sharing}
    if rendering.replicas:
        crops = flow.link("turn", crops)
    encoded = flow.link("invert", Invert(net, batch, batch_stats=recipe.batch_stats, **memory).stream(crops))
    if config.latents.source is not None:
        encoded = flow.link("from_latents", _replaced(config, rendering, encoded))
    if recipe.optimize is not None:
        encoded = flow.link("optimize", Optimize(net, recipe.optimize, config.seed).stream(encoded))
    if config.latents.save is not None:
        encoded = flow.link("save_latents", _saver(config, clip, rendering, config.latents.save).stream(encoded))
    if config.steady.feature:
        encoded = flow.link("steady_feature", SteadyFeature(config.steady, config.steady.feature).stream(encoded))
    edited = flow.link("edit", Edit(recipe).stream(encoded))
    # Behind it: those in the queue, the one that waits to go in, the one that is pasted, and what `steady` holds; none
    # for a single picture.
    queued = config.buffers.synthesize + 2 + (2 * config.steady.reach + 1 if config.steady_strength else 0)
    if clip.num_frames is not None:
        queued = min(queued, max(clip.num_frames - 1, 0))
    change = _composite(config).mode == "add"
    return flow.link("synthesize", Synthesize(net, batch, queued=queued, change=change, **memory).stream(edited))


def _with_neighbours(config: RunConfig, analysis: Analysis) -> ReadConfig:
    """The frames that are wanted, and those of their shots that `steady` mixes into them."""
    read, reach = config.read, config.steady.reach if config.steady_strength else 0
    if config.steady.feature:
        reach += config.steady.reach
    start, end = read.start, read.end
    while read.start - start < reach and start > 0 and analysis.shot(start - 1) == analysis.shot(read.start):
        start -= 1
    if read.end is not None:
        end = read.end
        while end - read.end < reach and analysis.shot(end) == analysis.shot(read.end - 1):
            end += 1
    return read.model_copy(update={"start": start, "end": end})


def _steadied(
    config: RunConfig, rendering: Rendering, flow: Flow, rendered: Generator[RenderedFrame, None, None]
) -> Generator[RenderedFrame, None, None]:
    if config.steady_strength:
        rendered = flow.link("steady", Steady(config.steady, config.steady_strength).stream(rendered))
    return _wanted(config.read, rendered) if config.steady_strength or config.steady.feature else rendered


def _wanted(read: ReadConfig, frames: Generator[RenderedFrame, None, None]) -> Generator[RenderedFrame, None, None]:
    """Drop the neighbours again."""
    with contextlib.closing(frames):
        for item in frames:
            index = item.face_frame.frame.index
            if index >= read.start and (read.end is None or index < read.end):
                yield item


def _replaced(
    config: RunConfig, rendering: Rendering, encoded: Generator[EncodedFrame, None, None]
) -> Generator[EncodedFrame, None, None]:
    """Open the latent file for as long as the frames flow."""
    assert config.latents.source is not None
    with load_latents(config.latents.source, rendering.model.net.config) as latents:
        yield from FromLatents(latents).stream(encoded)


def _saver(config: RunConfig, clip: ClipInfo, rendering: Rendering, path: Path) -> SaveLatents:
    keep, model = config.latents.keep, rendering.model
    if keep is None:
        changed = rendering.recipe.optimize is not None or config.latents.source is not None
        keep = ("feature", "noise") if changed else ()
    return SaveLatents(path, latent_info(clip, model.name, model.sha256), keep)


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
