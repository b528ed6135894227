"""Find editing directions in a generator without labels; write them and a sheet that shows what each does."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How to look for them, and what to show them on."""
    parser.add_argument("--model", required=True, metavar="NAME|PATH", help="a StyleGAN2, pSp or StyleGANEX file")
    parser.add_argument(
        "--method", choices=["sefa", "pca"], default="sefa", help="sefa: from the weights; pca: components of w"
    )
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--layers", default="all", metavar="RANGE", help="e.g. 0-8; coarse, middle, fine or all")
    parser.add_argument("--samples", type=int, default=10_000, help="pca: seeds drawn")
    parser.add_argument("--seed", type=int, default=0, help="pca: of those")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--image", metavar="FACE", help="show them on this face")
    shown.add_argument("--seeds", default="0", metavar="0-2", help="show them on these samples (the default: 0)")
    parser.add_argument("--truncation", type=float, default=1.0, metavar="PSI", help="of the samples")
    parser.add_argument("--strengths", metavar="=-3,0,3", help="columns of the sheet; pca: standard deviations")
    parser.add_argument("-o", "--output", help=".safetensors; default output/{model}_{method}.safetensors")
    parser.add_argument("--sheet", metavar="PNG", help="default: beside the output")
    parser.add_argument("--no-sheet", action="store_true", help="find and write them only")
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that exist")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:0, mps")


def run(arguments: argparse.Namespace) -> int:
    """Find, draw, write, print a table; exit status 0."""
    from models.layer_ranges import parse_layers
    from models.zoo import load_model
    from pipeline import directions
    from pipeline.resources import choose_device
    from pipeline.sample import parse_seeds
    from stages.output import check_output, check_tensor_file

    method, seeds = arguments.method, parse_seeds(arguments.seeds)
    strengths = directions.parse_strengths(arguments.strengths, method)
    output = Path(arguments.output or f"output/{Path(arguments.model).stem}_{method}.safetensors")
    check_tensor_file(output, "directions", arguments.overwrite, [Path(arguments.model)])
    sheet = None if arguments.no_sheet else Path(arguments.sheet or output.with_suffix(".png"))
    if sheet is not None:
        check_output(Path(arguments.image or arguments.model), sheet, arguments.overwrite)
        directions.check_sheet(arguments.count * len(strengths) * (1 if arguments.image else len(seeds)))
    model = load_model(arguments.model, (), choose_device(arguments.device))
    net, layers = model.net, parse_layers(arguments.layers, model.net.config.num_styles)
    found = directions.find(net, method, arguments.count, layers, arguments.samples, arguments.seed)
    rows, labels = [], []
    if sheet is not None:
        if arguments.image is not None:
            bases = [directions.base_from_image(net, Path(arguments.image))]
        else:
            bases = directions.bases_from_seeds(net, seeds, arguments.truncation)
        rows, labels = directions.draw(net, found, bases, strengths, progress=not arguments.quiet)
    shown = Path(arguments.image).name if arguments.image else f"seeds {arguments.seeds}"
    title = f"{model.name}, {method}, layers {arguments.layers}, {shown}"
    directions.save(output, found, model, sheet, (rows, labels), strengths, title)
    value = "eigenvalue" if method == "sefa" else "std of w"
    print(f"direction  {value}")
    for name, number in zip(found.names, found.values.tolist(), strict=True):
        print(f"{name:9}  {number:.4g}")
    first = f"{output}:{found.names[0]}"
    print(f"\nuse one: --task edit --model {arguments.model} --direction {first} --strength 2 input.mp4")
    return 0
