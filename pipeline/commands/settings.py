"""Options that are settings of the YAML file under a shorter name."""

from __future__ import annotations

import argparse
from typing import Any

import yaml

from pipeline.errors import ConfigError
from stages.tasks import KINDS

SETTINGS = {
    "model": "model",
    "refine": "refine",
    "device": "device",
    "precision": "precision",
    "compile": "compile",
    "batch_size": "batch_size",
    "memory": "memory",
    "seed": "seed",
    "start": "read.start",
    "end": "read.end",
    "face": "track.face",
    "no_face": "track.no_face",
    "frame": "crop.frame",
    "size": "composite.size",
    "latents": "style.latents",
    "analysis": "analysis",
    "latent": "latents.source",
    "save_latents": "latents.save",
    "codec": "write.codec",
    "quality": "write.quality",
    "pix_fmt": "write.pix_fmt",
    "overwrite": "write.overwrite",
    "verify": "report.verify",
}
"""Option → dotted setting."""
TASK_SETTINGS = {
    "style": "toonify: cartoon, arcane, pixar, or an embedded style; sketch and mask: distance of the random w",
    "generator": "toonify: weight file whose generator replaces the model's",
    "original": "toonify: weight file of the generator that the toonified one was made from, for --strength below 1",
    "strength": "edit: how far along the direction; toonify: 0 (original) to 1",
    "direction": "edit: a name such as age, or a .pt, .npy or .safetensors file",
    "layers": "edit, style_mixing: style inputs, e.g. 0-8, coarse, middle, fine, all",
    "factor": "super_resolution: degrade the input on purpose, 4 to 48",
    "source": "sketch_to_face: drawing or photo; mask_to_face: labels or photo; style_mixing: picture or latent file",
    "alpha": "style_mixing: 1 replaces, 0 changes nothing",
}
"""Option → help; each is the setting `task.OPTION`."""
NUMBERS = ("strength", "factor", "alpha")
"""Options whose text is read as YAML: a number, or keyframes such as "{0: 0, 48: 1.5}"."""


def add_settings(parser: argparse.ArgumentParser) -> None:
    """The options that stand for settings, for every command that takes a configuration."""
    parser.add_argument("--config", help="YAML file, e.g. configs/toonify.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="SETTING=VALUE", help="e.g. track.smooth_s=0.4")
    parser.add_argument("--task", help=", ".join(KINDS))
    for option, text in TASK_SETTINGS.items():
        parser.add_argument(f"--{option}", help=text)
    parser.add_argument("--steps", type=int, help="inversion: optimisation steps (step II); 0: the encoder alone")
    parser.add_argument("--model", metavar="NAME|PATH", help="see `models list`; default: the best at hand")
    parser.add_argument("--refine", metavar="FILE", help="RefineStyle tokens, laid over the model's kernels")
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:0, mps; several GPUs: cuda:0,1")
    parser.add_argument("--precision", help="fp32, bf16 or fp16")
    parser.add_argument("--compile", action="store_true", default=None, help="compile the network: faster on a GPU")
    parser.add_argument("--batch-size", type=int, help="frames per pass of the network")
    parser.add_argument("--memory", metavar="SIZE", help="what it may hold, e.g. 6GiB; default: most of what is free")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--start", type=int, help="first frame number")
    parser.add_argument("--end", type=int, help="frame number after the last")
    parser.add_argument("--face", help="largest, all, or an index (0 = largest)")
    parser.add_argument("--no-face", help="pass, hold or fail: what becomes of frames without a face")
    parser.add_argument("--frame", help="auto, full, window or aligned: what the network sees")
    parser.add_argument("--size", help="source, native or WxH: size of the output")
    parser.add_argument("--latents", help="clip, shot, smooth or frame: where w+ comes from")
    parser.add_argument("--analysis", help="folder from `analyze`: nothing is detected or encoded for style again")
    parser.add_argument("--latent", metavar="FILE", help="latent file (or one w+) instead of the encoder")
    parser.add_argument("--save-latents", metavar="FILE", help="write every frame's latents (.safetensors)")
    parser.add_argument("--codec", help="auto or an encoder's name")
    parser.add_argument("--quality", type=float, help="constant quality of the encoder; lower is better")
    parser.add_argument("--pix-fmt", help="auto or a pixel format's name")
    parser.add_argument("--overwrite", action="store_true", default=None, help="replace an output that exists")
    parser.add_argument("--verify", action="store_true", default=None, help="check the finished file with ffprobe")


def overrides_from(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings that options and `--set` name."""
    found: dict[str, Any] = {}
    if arguments.task is not None:
        found["task"] = {"kind": arguments.task}
    for option in TASK_SETTINGS:
        value = getattr(arguments, option)
        if value is not None:
            found[f"task.{option}"] = yaml.safe_load(value) if option in NUMBERS else value
    if arguments.steps is not None:
        found["task.optimize.steps"] = arguments.steps
    for option, setting in SETTINGS.items():
        value = getattr(arguments, option)
        if value is not None:
            found[setting] = yaml.safe_load(value) if option == "face" else value
    for text in arguments.set:
        setting, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set {text}: no value", "write it as --set SETTING=VALUE")
        found[setting.strip()] = yaml.safe_load(value)
    return found
