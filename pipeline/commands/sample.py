"""Draw pictures from seeds: a grid, a folder, a style mixing grid, or a video that loops from seed to seed."""

from __future__ import annotations

import argparse
import logging
from fractions import Fraction
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which seeds, and what becomes of them."""
    parser.add_argument("--model", required=True, metavar="NAME|PATH", help="a StyleGAN2, pSp or StyleGANEX file")
    parser.add_argument("--seeds", metavar="0-15,42", help="ranges hold both ends")
    parser.add_argument("--truncation", type=float, default=1.0, metavar="PSI", help="towards the mean; 1: not at all")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--grid", metavar="COLSxROWS", help="default: as square as it goes")
    kinds.add_argument("--interpolate", type=int, metavar="N", help="a loop with N frames from each seed to the next")
    kinds.add_argument("--mix", metavar="ROWS:COLS", help="seeds whose styles are mixed, e.g. 0-3:10-15")
    parser.add_argument("--layers", metavar="RANGE", help="--mix: styles taken from the columns, e.g. 0-6; coarse")
    parser.add_argument("--fps", default="30", metavar="N[/D]", help="of the video, e.g. 24000/1001")
    parser.add_argument("--tile", type=int, metavar="PIXELS", help="reduce larger pictures to this size")
    parser.add_argument("-o", "--output", help="image, video, or folder of images; default output/{model}_{kind}")
    parser.add_argument("--overwrite", action="store_true", help="replace an output that exists")
    parser.add_argument("--codec", default="auto")
    parser.add_argument("--quality", type=float, help="constant quality of the encoder; lower is better")
    parser.add_argument("--pix-fmt", default="auto")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:0, mps")


def run(arguments: argparse.Namespace) -> int:
    """Draw; exit status 0."""
    from models.layer_ranges import parse_layers
    from models.sampling import Sampler
    from models.zoo import load_model
    from pipeline import sample
    from pipeline.config import load_config
    from pipeline.resources import choose_device
    from stages.output import check_output

    seeds, columns = _seeds(arguments)
    grid = sample.parse_grid(arguments.grid, len(seeds))
    names = ("codec", "quality", "pix_fmt", "overwrite")
    settings = {f"write.{name}": getattr(arguments, name) for name in names}
    config = load_config(None, settings | {"read.sequence_rate": arguments.fps})
    kind = "mix" if columns else "loop" if arguments.interpolate is not None else "seeds"
    suffix = ".mp4" if kind == "loop" else ".png"
    output = Path(arguments.output or f"output/{Path(arguments.model).stem}_{kind}{suffix}")
    check_output(Path(arguments.model), output, arguments.overwrite)
    model = load_model(arguments.model, (), choose_device(arguments.device))
    sampler = Sampler(model.net, arguments.truncation)
    drawing = sample.Drawing(sampler, output, config.write, arguments.tile, not arguments.quiet)
    if columns:
        layers = parse_layers(arguments.layers or "coarse", model.net.config.num_styles)
        sample.draw_mixed(drawing, seeds, columns, layers)
    elif arguments.interpolate is not None:
        sample.draw_loop(drawing, seeds, arguments.interpolate, Fraction(config.read.sequence_rate))
    else:
        sample.draw_grid(drawing, seeds, grid)
    logging.getLogger("pipeline").info("%s: drawn with %s", output, model.name)
    return 0


def _seeds(arguments: argparse.Namespace) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(seeds, ()), or for --mix (row seeds, column seeds)."""
    from pipeline.errors import ConfigError
    from pipeline.sample import parse_seeds

    if arguments.mix is None:
        if arguments.seeds is None:
            raise ConfigError("seeds: none given", "add --seeds 0-15")
        if arguments.layers is not None:
            raise ConfigError("layers: only --mix takes layers from other seeds", "leave --layers out, or add --mix")
        return parse_seeds(arguments.seeds), ()
    rows, colon, columns = arguments.mix.partition(":")
    if arguments.seeds is not None or not colon:
        what = "seeds: --mix names its own" if colon else f"mix {arguments.mix!r}: not ROWS:COLS"
        raise ConfigError(what, "write --mix 0-3:10-15, without --seeds")
    return parse_seeds(rows), parse_seeds(columns)
