"""Everything that a card states about one weight file, chosen by what the file says it was trained for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from models.checkpoint import load_checkpoint
from models.errors import UserError
from models.styleganex import StyleGANEX
from models.training.degrade import degrade_image
from models.training.measure.counterpart import beside_baselines, likeness, margin
from models.training.measure.drawing import draw, draw_with_palette
from models.training.measure.edit_report import add_edits
from models.training.measure.figures import Report, Table
from models.training.measure.held_out import Head, Picture, head, held_out_numbers
from models.training.measure.landmarks import LandmarkReader, agreement, share_moved
from models.training.measure.temporal import load_clip, stability
from models.training.palette import plain_backdrop
from models.training.proportions import Proportions
from models.training.record import file_sha256
from models.training.samples import Samples, open_samples

MIN_PSNR = 24.0
"""dB, of the input drawn again."""
MAX_LANDMARK_ERROR = 3.0
"""% of the distance between the eyes, of the input drawn again."""
FACTORS = (8.0, 16.0, 32.0)
"""Of super-resolution, as `--factor` of the task; landmarks are read at the middle one."""


@dataclass(frozen=True, slots=True)
class Material:
    """What there is to measure with."""

    samples: Path
    """The set; what is not held out teaches the attribute reader."""
    held_out: int = 40
    """The last so many of it are measured on, unless …"""
    test: Path | None = None
    """… there is a set of its own for that, which no training saw."""
    clips: tuple[Path, ...] = ()
    """Files with exact flow."""
    units: Mapping[str, float] = field(default_factory=dict)
    """What strength 1 of each edit means, in the attribute's unit."""
    proportions: Proportions | None = None
    """How much of the toon's the recipe asks for; None: all. Agreement with what it asks for is stated too."""
    backdrop: bool = False
    """Sketch and mask models: the true picture stands before a wall of its background's median colour."""


class Counterpart(NamedTuple):
    """Pictures that a toon model is held against."""

    array: str
    landmarks: str
    """Names in a `Head`; "cartoon" is drawn."""
    title: str
    word: str
    suffix: str
    """What tells its figures from those of the true counterpart."""


def measure(weights: Path, material: Material) -> Report:
    """Measure a weight file.

    Raises:
        UserError: a file or a set that cannot be read, or a set without what the model's kind needs.
    """
    net = load_checkpoint(weights)
    samples = open_samples(material.samples)
    edits = [name for name in net.metadata.get("directions", "").split(",") if name]
    target = _target(net)
    names = ["parsing", "sketch", *(f"variant_{edit}" for edit in edits), *([target] if target != "cartoon" else [])]
    heads, source = _heads(samples, material, names)
    report = Report(
        model=weights.stem,
        facts={
            "sha256": file_sha256(weights),
            "heads": f"{len(heads)} held-out heads ({source})",
            "numbers": [item.number for item in heads],
        },
    )
    if net.config.input_channels != 3:
        _add_drawing(report, net, heads, material.backdrop)
    elif "super_resolution" in net.metadata.get("task", ""):
        _add_super_resolution(report, net, heads)
    else:
        plain = draw(net, heads)
        if target == "image":
            _add_again(report, plain, heads)
        else:
            _add_toon(report, plain, heads, target)
        if edits and net.editing_w is not None:
            known = range(len(samples) - (material.held_out if material.test is None else 0))
            add_edits(report, net, edits, heads, plain, samples, known, material.units)
        _add_clips(report, net, material.clips)
    return report


def _target(net: StyleGANEX) -> str:
    """Array of what the network learned to draw; "cartoon": lite_toon's, which is drawn from the picture."""
    task = net.metadata.get("task", "toonify")
    if "toonify" in task:
        return net.metadata.get("style", "cartoon")
    return "image"


def _heads(samples: Samples, material: Material, names: Sequence[str]) -> tuple[list[Head], str]:
    bent = material.proportions
    if material.test is not None:
        test = open_samples(material.test)
        return [head(test, number, names, bent) for number in range(len(test))], "a set of their own"
    numbers = held_out_numbers(samples, material.held_out)
    if len(numbers) == 0:
        raise UserError("no held-out heads to measure on", "set --held-out to 1 or more, or give --test DIR")
    return [head(samples, number, names, bent) for number in numbers], f"the last {len(numbers)} of {len(samples)}"


def _add_again(report: Report, plain: Sequence[Picture], heads: Sequence[Head]) -> None:
    """The input drawn again: inversion, and edits at strength 0."""
    score = likeness(plain, [item.image for item in heads])
    report.add("PSNR to the input", score.psnr, "dB", least=MIN_PSNR)
    report.add("SSIM to the input", score.ssim)
    _add_landmarks(report, plain, heads, MAX_LANDMARK_ERROR)


def _add_landmarks(report: Report, plain: Sequence[Picture], heads: Sequence[Head], most: float | None) -> None:
    reader = LandmarkReader()
    shown = reader.all([item.image for item in heads], heads)
    known = agreement(shown, [item.landmarks["landmarks"] for item in heads])
    found = agreement(reader.all(plain, heads), shown)
    if found is None or known is None:
        report.add("faces found in input and output", 0, least=1)
        return
    parts = ", ".join(f"{name} {value:.1f}" for name, value in found.parts.items())
    report.add("landmark error, output to input", found.error, "% of eye distance", most=most, note=parts)
    report.add("landmark error of the worst head", found.worst, "% of eye distance")
    report.add("faces found in input and output", found.found, f"of {found.asked}", least=found.asked)
    note = "the detector against the renderer's own landmarks; both pictures share it"
    report.add("landmark error of the detector", known.error, "% of eye distance", note=note)


def _add_toon(report: Report, plain: Sequence[Picture], heads: Sequence[Head], target: str) -> None:
    """Against the true counterpart; where the recipe bends that towards the input, against its target too."""
    against = [Counterpart(target, "toon_landmarks", f"the true {target}", "true", "")]
    if all("target" in item.arrays for item in heads):
        suffix = ", against the recipe's target"
        against.append(Counterpart("target", "target_landmarks", "the recipe's target", "target", suffix))
    for other in against:
        scores = beside_baselines(plain, heads, other.array)
        rows = [(name, f"{s.psnr:.2f} dB", f"{s.ssim:.3f}") for name, s in scores.items()]
        report.tables.append(Table(f"Agreement with {other.title}:", ("", "PSNR", "SSIM"), rows))
        report.add(f"SSIM to {other.title}", scores["network"].ssim)
        report.add(f"SSIM of the bilateral filter to {other.title}", scores["bilateral filter"].ssim)
        ahead, better = margin(scores)
        note = f"above it on {better} of {len(heads)} heads"
        report.add(f"SSIM above the bilateral filter's{other.suffix}", ahead, least=0.0, note=note)
        report.add(f"SSIM above the input's{other.suffix}", scores["network"].ssim - scores["input"].ssim)
    if target in ("cartoon", "ink"):
        _add_landmarks(report, plain, heads, None)  # the geometry stays
    elif all("toon_landmarks" in item.landmarks for item in heads):
        _add_proportions(report, plain, heads, against)


def _add_proportions(
    report: Report, plain: Sequence[Picture], heads: Sequence[Head], against: Sequence[Counterpart]
) -> None:
    """Does it move the features to where the counterparts have them?"""
    reader = LandmarkReader()
    drawn, shown = reader.all(plain, heads), reader.all([item.image for item in heads], heads)
    table, rows = [], [("output to input", drawn, shown)]
    for other in against:
        wanted = reader.all([item.arrays[other.array] for item in heads], heads)
        rows += [(f"output to {other.word}", drawn, wanted), (f"input to {other.word}", shown, wanted)]
        asked = [item.landmarks[other.landmarks] - item.landmarks["landmarks"] for item in heads]
        full = share_moved(shown, wanted, asked)
        for name, share in share_moved(shown, drawn, asked).items():
            note = f"the detector sees {full[name]:.2f} in those pictures" if name in full else ""
            report.add(f"share of the {other.word} displacement, {name}", share, note=note)
    for name, ours, theirs in rows:
        found = agreement(ours, theirs)
        if found is not None:
            parts = (f"{value:.1f}" for value in found.parts.values())
            table.append((name, f"{found.error:.1f}", *parts, f"{found.found} of {found.asked}"))
            report.add(f"landmarks, {name}", found.error, "% of eye distance")
    title = "Landmarks, % of the distance between the eyes:"
    report.tables.append(Table(title, ("", "all", "jaw", "brows", "nose", "eyes", "mouth", "heads"), table))


def _add_super_resolution(report: Report, net: StyleGANEX, heads: Sequence[Head]) -> None:
    rows, true = [], [item.image for item in heads]
    for factor in FACTORS:
        ours = likeness(draw(net, heads, factor=factor), true)
        plain = likeness([degrade_image(picture, factor) for picture in true], true)
        report.add(f"PSNR above bicubic, factor {factor:g}", ours.psnr - plain.psnr, "dB")
        report.add(f"SSIM above bicubic, factor {factor:g}", ours.ssim - plain.ssim)
        cells = (f"{ours.psnr:.2f} dB", f"{plain.psnr:.2f} dB", f"{ours.ssim:.3f}", f"{plain.ssim:.3f}")
        rows.append((f"{factor:g}", *cells))
    header = ("factor", "PSNR", "bicubic", "SSIM", "bicubic")
    report.tables.append(Table("Super-resolution:", header, rows))
    _add_landmarks(report, draw(net, heads, factor=FACTORS[1]), heads, None)


def _add_drawing(report: Report, net: StyleGANEX, heads: Sequence[Head], backdrop: bool) -> None:
    """Sketch and mask models; the picture is one of many that the drawing allows."""
    true = [plain_backdrop(item.image, item.arrays["parsing"]) if backdrop else item.image for item in heads]
    told = draw_with_palette(net, heads)
    for name, pictures in (("colours left open", draw(net, heads)), ("colours told by z", told)):
        score = likeness(pictures, true)
        report.add(f"PSNR, {name}", score.psnr, "dB")
        report.add(f"SSIM, {name}", score.ssim)
    flat = [np.broadcast_to(picture.mean(axis=(0, 1)), picture.shape).astype(np.uint8) for picture in true]
    report.add("PSNR of one flat colour", likeness(flat, true).psnr, "dB", note="the true picture's mean")
    blurred = [np.asarray(cv2.GaussianBlur(picture, (0, 0), 8.0), np.uint8) for picture in true]
    report.add("PSNR of the true picture, blurred", likeness(blurred, true).psnr, "dB", note="σ = 8 px")
    _add_landmarks(report, told, heads, None)


def _add_clips(report: Report, net: StyleGANEX, clips: Sequence[Path]) -> None:
    rows = []
    for path in clips:
        found = stability(net, load_clip(path))
        rows.append((path.stem, f"{found.source:.2f}", f"{found.output:.2f}", f"{found.ratio:.2f}", str(found.pairs)))
        report.add(f"warping error, output over source, {path.stem}", found.ratio, note="exact flow")
    if rows:
        header = ("clip", "source", "output", "ratio", "pairs of frames")
        report.tables.append(Table("Warping error in code values:", header, rows))
