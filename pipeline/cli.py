"""The command line: words to calls. Every option is a setting of the YAML file under a shorter name."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
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
VERBS = ("batch", "explain", "models", "train")


def main(argv: Sequence[str]) -> int:
    """Run one command; returns the exit status. User errors are raised, for the caller to print."""
    verb = argv[0] if argv and argv[0] in VERBS else "render"
    parser = _PARSERS[verb]()
    arguments = parser.parse_args(argv[1:] if verb != "render" else argv)
    _set_up_logging(arguments)
    return arguments.run(arguments)


def _base(verb: str, description: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
    name = "run_pipeline.py" if verb == "render" else f"run_pipeline.py {verb}"
    parser = argparse.ArgumentParser(prog=name, description=description)
    parser.set_defaults(run=run)
    parser.add_argument("--quiet", action="store_true", help="warnings and errors only")
    parser.add_argument("-v", "--verbose", action="store_true", help="say more")
    parser.add_argument("--log-json", action="store_true", help="one JSON object per log line")
    return parser


def _render_parser() -> argparse.ArgumentParser:
    parser = _base("render", "Render one clip. Other commands: " + ", ".join(VERBS) + " (each with --help).", _render)
    parser.add_argument("input", help="video, image, folder of images, or pattern such as shot.%%04d.png")
    parser.add_argument("-o", "--output", help="file or folder; default output/{stem}_{task}{suffix}")
    parser.add_argument("--resume", action="store_true", help="do nothing when the output is finished and unchanged")
    _add_settings(parser)
    return parser


def _explain_parser() -> argparse.ArgumentParser:
    parser = _base("explain", "Show the stages and every setting with its value; run nothing.", _explain)
    _add_settings(parser)
    return parser


def _add_settings(parser: argparse.ArgumentParser) -> None:
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


def _render(arguments: argparse.Namespace) -> int:
    from pipeline.config import load_config
    from pipeline.resources import Loader
    from pipeline.run import default_output, is_current, render

    config, loader = load_config(arguments.config, overrides_from(arguments)), Loader()
    source = Path(arguments.input)
    output = Path(arguments.output) if arguments.output else default_output(source, config)
    if arguments.resume and is_current(source, output, config, loader):
        logging.getLogger("pipeline").info("%s: finished and unchanged", output)
        return 0
    report = render(source, output, config=config, loader=loader, progress=not arguments.quiet)
    logging.getLogger("pipeline").info(
        "%s: %d frames, faces rendered in %d, %.2f frames/s", report.output, report.frames, report.rendered, report.fps
    )
    return 0


def _explain(arguments: argparse.Namespace) -> int:
    from pipeline.config import load_config
    from pipeline.explain import explain

    print(explain(load_config(arguments.config, overrides_from(arguments))))
    return 0


def _batch_parser() -> argparse.ArgumentParser:
    parser = _base("batch", "Render many clips from one YAML file.", _batch)
    parser.add_argument("words", nargs="+", metavar="[status|retry] FILE")
    parser.add_argument("--check", action="store_true", help="check every job, run none; exit 2 when one cannot run")
    parser.add_argument("--resume", action="store_true", help="skip jobs that are finished and unchanged")
    parser.add_argument("--failed", action="store_true", help="retry: only jobs that failed last time (the default)")
    parser.add_argument("--executor", choices=["local"], default="local")
    parser.add_argument("--workers", type=int, default=1, help="of the executor; local has one")
    return parser


def _batch(arguments: argparse.Namespace) -> int:
    from pipeline import batch

    verb, path = ("run", *arguments.words) if len(arguments.words) == 1 else arguments.words[:2]
    if verb not in ("run", "status", "retry") or len(arguments.words) > 2:
        raise ConfigError(f"batch {' '.join(arguments.words)}: not a command", "use batch [status|retry] FILE.yaml")
    file = batch.load_batch(Path(path))
    if verb == "status":
        print(batch.table(batch.status(file)))
        return 0
    if arguments.check:
        problems = batch.check(file)
        print(batch.table(problems))
        return 2 if any(result.status == "failed" for result in problems) else 0
    jobs = batch.failed_jobs(file) if verb == "retry" else file.jobs
    results = batch.run(file, jobs, batch.LocalExecutor(progress=not arguments.quiet), resume=arguments.resume)
    print(batch.table(results))
    return 1 if any(result.status == "failed" for result in results) else 0


def _models_parser() -> argparse.ArgumentParser:
    parser = _base("models", "List the models, or get a published one.", _models)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="what there is, and what is here")
    fetch = commands.add_parser("fetch", help="download a published file, after showing its licence")
    fetch.add_argument("name")
    fetch.add_argument("--accept-licence", action="store_true", help="do not ask")
    convert = commands.add_parser("convert", help="write a checkpoint as safetensors, without training state")
    convert.add_argument("source")
    convert.add_argument("target")
    return parser


def _models(arguments: argparse.Namespace) -> int:
    from models import fetch, zoo

    match arguments.command:
        case "list":
            print(zoo.listing())
        case "fetch":
            print(fetch.fetch(arguments.name, accepted=arguments.accept_licence))
        case _:
            zoo.convert(Path(arguments.source), Path(arguments.target))
    return 0


def _train_parser() -> argparse.ArgumentParser:
    parser = _base("train", "Train a model.", _train)
    parser.add_argument("--config", required=True, help="YAML file, e.g. configs/train_lite.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="SETTING=VALUE")
    return parser


def _train(arguments: argparse.Namespace) -> int:
    from pipeline.train import train_from_yaml

    pairs = [text.partition("=") for text in arguments.set]
    train_from_yaml(Path(arguments.config), {key.strip(): yaml.safe_load(value) for key, _, value in pairs})
    return 0


_PARSERS = {
    "render": _render_parser,
    "explain": _explain_parser,
    "batch": _batch_parser,
    "models": _models_parser,
    "train": _train_parser,
}


class JsonFormatter(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """time, level, logger, message."""
        entry = {"time": self.formatTime(record), "level": record.levelname.lower(), "logger": record.name}
        return json.dumps(entry | {"message": record.getMessage()})


def _set_up_logging(arguments: argparse.Namespace) -> None:
    level = logging.DEBUG if arguments.verbose else logging.WARNING if arguments.quiet else logging.INFO
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if arguments.log_json else logging.Formatter("%(levelname)s %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in ("models", "stages", "pipeline"):
        logging.getLogger(name).setLevel(level)
