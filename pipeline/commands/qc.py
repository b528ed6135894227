"""Make the QC page of a finished render: one HTML file with frames, plots and decisions, for any browser."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The two clips and the page."""
    parser.add_argument("input", help="the clip before the render: video, image sequence or image")
    parser.add_argument("output", help="the clip after it, with its OUTPUT.report.json beside it")
    parser.add_argument("-o", "--page", help="HTML file; default OUTPUT.qc.html")
    parser.add_argument("--no-metrics", action="store_true", help="do not measure flicker: quicker, with fewer plots")
    parser.add_argument("--config", help="YAML file of flicker thresholds, e.g. configs/flicker.yaml")
    parser.add_argument("--side", type=int, default=640, help="longest side of the embedded pictures, in pixels")
    parser.add_argument("--mb", type=float, default=12.0, help="megabytes of pictures; finer ones fit into more")


def run(arguments: argparse.Namespace) -> int:
    """Write the page and print where it is; exit status 0."""
    from pipeline.metrics import load_flicker_config
    from pipeline.qc import write_page

    page = write_page(
        arguments.input,
        arguments.output,
        arguments.page,
        metrics=not arguments.no_metrics,
        thresholds=load_flicker_config(arguments.config),
        side=arguments.side,
        pictures_mb=arguments.mb,
    )
    print(page)
    return 0
