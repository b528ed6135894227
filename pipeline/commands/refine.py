"""Find tokens (RefineStyle) that draw one face closer to its picture; write them as a file for --refine."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Whose face, and what finds the tokens."""
    parser.add_argument("picture", help="whose largest face they are for; of a clip the first frame")
    parser.add_argument("--encoder", required=True, metavar="FILE", help="of tokens: `train`, recipe refine, picture")
    parser.add_argument("--model", required=True, metavar="NAME|PATH", help="the network that it was trained on")
    parser.add_argument("-o", "--output", help=".safetensors; default output/{picture}_tokens.safetensors")
    parser.add_argument("--overwrite", action="store_true", help="replace an output that exists")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:0, mps")


def run(arguments: argparse.Namespace) -> int:
    """Find, write, measure what --refine will gain; exit status 0."""
    from models.zoo import load_model
    from pipeline import refine
    from pipeline.resources import choose_device
    from stages.output import check_tensor_file

    picture, encoder = Path(arguments.picture), Path(arguments.encoder)
    output = Path(arguments.output or f"output/{picture.stem}_tokens.safetensors")
    check_tensor_file(output, "tokens", arguments.overwrite, [Path(arguments.model), encoder])
    model = load_model(arguments.model, (), choose_device(arguments.device))
    gain = refine.write_tokens(picture, encoder, model, output)
    print(f"{picture}: the face drawn again, PSNR {gain.before:.2f} dB without tokens, {gain.after:.2f} dB with them")
    print(f"\nuse them: --model {arguments.model} --refine {output} input.mp4")
    return 0
