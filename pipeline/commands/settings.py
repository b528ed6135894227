"""Options that are settings of the YAML file under a shorter name."""

from __future__ import annotations

import argparse
from typing import Any

import yaml

from pipeline.errors import ConfigError

SETTINGS = {
    "model": "model",
    "device": "device",
    "precision": "precision",
    "batch_size": "batch_size",
    "seed": "seed",
    "start": "read.start",
    "end": "read.end",
    "face": "track.face",
    "no_face": "track.no_face",
    "frame": "crop.frame",
    "size": "composite.size",
    "latents": "style.latents",
    "codec": "write.codec",
    "quality": "write.quality",
    "pix_fmt": "write.pix_fmt",
    "overwrite": "write.overwrite",
    "verify": "report.verify",
}
"""Option → dotted setting."""


def add_settings(parser: argparse.ArgumentParser) -> None:
    """The options that stand for settings, for every command that takes a configuration."""
    parser.add_argument("--config", help="YAML file, e.g. configs/toonify.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="SETTING=VALUE", help="e.g. track.smooth_s=0.4")
    parser.add_argument("--task", help="toonify or none")
    parser.add_argument("--style", help="toonify: cartoon, arcane or pixar")
    parser.add_argument("--model", metavar="NAME|PATH", help="see `models list`; default: the best at hand")
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:0, mps")
    parser.add_argument("--precision", help="fp32")
    parser.add_argument("--batch-size", type=int, help="frames per pass of the network")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--start", type=int, help="first frame number")
    parser.add_argument("--end", type=int, help="frame number after the last")
    parser.add_argument("--face", help="largest, all, or an index (0 = largest)")
    parser.add_argument("--no-face", help="pass, hold or fail: what becomes of frames without a face")
    parser.add_argument("--frame", help="auto, full or window: what the network sees")
    parser.add_argument("--size", help="source, native or WxH: size of the output")
    parser.add_argument("--latents", help="clip, shot or frame: where w+ comes from")
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
    if arguments.style is not None:
        found["task.style"] = arguments.style
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
