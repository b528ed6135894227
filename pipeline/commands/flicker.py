"""Measure the flicker that an output has and its input has not; exit 1 past a threshold."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Two clips, the thresholds and where the results go."""
    parser.add_argument("input", help="the clip before the render: video, image sequence or image")
    parser.add_argument("output", help="the clip after it")
    parser.add_argument("--config", help="YAML file of thresholds, e.g. configs/flicker.yaml")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    parser.add_argument("--junit", metavar="FILE", help="write JUnit XML as well")
    parser.add_argument(
        "--matte", default="auto", help="auto (by difference), full, or a matte clip: splits inside from outside"
    )
    parser.add_argument("--start", type=int, help="first input frame that was rendered; default: as the report says")
    parser.add_argument("--end", type=int, help="input frame number after the last")
    parser.add_argument("--model", metavar="NAME|PATH", help="also measure this model's shift equivariance, EQ-T, EQ-R")
    parser.add_argument("--device", default="auto", help="of the model: auto, cpu, cuda, cuda:0, mps")


def run(arguments: argparse.Namespace) -> int:
    """Print the table or JSON; exit status 0, or 1 when a metric is past its limit."""
    from models.zoo import load_model
    from pipeline.metrics import load_flicker_config, measure
    from pipeline.metrics.junit import check_target, to_junit, write_text
    from pipeline.metrics.model import model_equivariance
    from pipeline.resources import choose_device

    if arguments.junit:
        check_target(Path(arguments.junit))
    config = load_flicker_config(arguments.config)
    model = load_model(arguments.model, (), choose_device(arguments.device)) if arguments.model else None
    report = measure(
        arguments.input,
        arguments.output,
        config,
        matte=arguments.matte,
        start=arguments.start,
        end=arguments.end,
    )
    if model is not None:
        report.verdicts += model_equivariance(model, arguments.input, config)
    if arguments.junit:
        write_text(Path(arguments.junit), to_junit(report))
    print(report.to_json() if arguments.json else report.table())
    return 0 if report.passed else 1
