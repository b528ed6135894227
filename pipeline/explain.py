"""explain: the stages and every setting, nothing run."""

from __future__ import annotations

import yaml

from pipeline.config import RunConfig
from stages.shots import Shots

READING = ("read", "decode; planes as they came, integer pts")
CUTTING = ("shots", "find hard cuts")
FINDING = (("track", "detect faces, follow them, fill gaps"), ("settle", "choose faces, smooth their geometry"))
ASSUMING = (("assume", "every picture is a face at face scale; nothing is detected"),)
STYLING = ("style", "w+ of every face, by style.latents")
REPLAYING = ("replay", "shots, faces and w+ from the analysis; w+ by style.latents, anew where the encoder is another")
RENDERING = (
    ("align", "the aligned square of the face takes the frame's place"),
    ("crop", "cut the window at face scale; make the encoder's input of it"),
    ("invert", "encoder: w+, first-layer feature, skip features"),
    ("from_latents", "latents from a file take the place of the encoder's"),
    ("optimize", "step II: w+, f and noise fitted to the window by gradient"),
    ("save_latents", "write them into a file on their way"),
    ("steady_feature", "mix each first-layer feature with its neighbours along the source's motion"),
    ("edit", "the task's changes to the latent"),
    (
        "synthesize",
        "generator; by `workers` on a CPU, or on several GPUs, invert to here side by side",
    ),
    ("steady", "mix each picture with its neighbours along the source's motion"),
)
WRITING = (
    ("composite", "paste back through the matte"),
    ("write", "encode; copy sound and subtitles; rename when whole"),
)


def explain(config: RunConfig) -> str:
    """The stages in order with their threads and look-ahead, then the resolved configuration as YAML."""
    finding = (CUTTING, *(FINDING if config.task.finds_faces else ASSUMING), STYLING)
    if config.analysis is not None:
        finding = (REPLAYING,)
    middle = (*finding, *RENDERING) if config.task.renders else (CUTTING, ("untouched", "the task renders nothing"))
    optional = {
        "align": True if config.crop.frame == "aligned" and config.task.finds_faces else None,
        "from_latents": config.latents.source,
        "optimize": config.task.optimization,
        "save_latents": config.latents.save,
        "steady_feature": config.steady.feature or None,
        "steady": config.steady_strength or None,
    }
    middle = tuple(stage for stage in middle if optional.get(stage[0], True) is not None)
    buffers, thread = config.buffers.model_dump(), 1
    lines = [f"task {config.task.kind}"]
    for name, what in (READING, *middle, *WRITING):
        lines.append(f"  thread {thread}  {name:<11} {what}{_lookahead(name, config)}")
        if buffers.get(name):
            lines.append(f"            queue of {buffers[name]} frames")
            thread += 1
    settings = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    return "\n".join([*lines, "", settings])


def _lookahead(name: str, config: RunConfig) -> str:
    track, style = config.track, config.style
    seconds = {"track": track.fill_s, "settle": track.smooth_s}
    if style.latents == "smooth" and style.filter != "one_euro":
        seconds["style"] = style.smooth_s
    reach = config.steady.reach
    frames = {"shots": Shots(config.shots).lookahead, "steady": reach, "steady_feature": reach}
    if style.latents in ("clip", "shot") or style.fine_from is not None:
        frames["style"] = style.wait_frames
    held = [f"{seconds[name]:g} s"] if seconds.get(name) else []
    held += [f"{frames[name]} frames"] if frames.get(name) else []
    return f" (look-ahead up to {' or '.join(held)})" if held else ""
