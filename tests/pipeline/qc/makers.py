"""A small clip with a cut, something like a render of it with one wrong frame, and the report of that render."""

from pathlib import Path

import numpy as np

from pipeline.config import RunConfig
from pipeline.fingerprint import report_path
from pipeline.flow import Flow
from pipeline.report import Recorder, RunReport, clip_facts, versions
from stages.geometry import Similarity
from stages.media_probe import probe
from stages.types import Face, FaceFrame, FaceSource, OutputFrame
from tests.helpers import frames_of, write_clip
from tests.pipeline.metrics import makers

COUNT, CUT, WRONG = 24, 10, 16
MODEL = {"name": "tiny <model> & more", "path": "tiny.safetensors", "sha256": "ab" * 32, "note": "note"}
HOSTILE = "</script><script>alert(1)</script> & <b>warning</b>"


def make_render(folder: Path) -> tuple[Path, Path]:
    """(input, output) with OUTPUT.report.json: two shots; frame WRONG of the output is one level set lighter."""
    pictures = [*makers.clip(CUT), *makers.clip(COUNT - CUT, seed=1)]
    drawn = makers.FAULTS["lighter"](makers.render(pictures), WRONG)
    source = write_clip(folder / "in.mp4", pictures)
    output = write_clip(folder / "out <1>.mp4", drawn)
    write_report(source, output)
    return source, output


def write_report(source: Path, output: Path) -> None:
    """As `render` writes it, with faces made up: none in frames 0 and 1, filled in 5, two in the second shot.

    Their w+ lie 0.5 off in every fourth frame, and nothing is known of the others.
    """
    report = RunReport(str(source), str(output), model=MODEL, versions=versions(), warnings=[HOSTILE], wplus="encoder")
    report.clip, report.config = clip_facts(probe(source)), RunConfig().model_dump(mode="json")
    recorder = Recorder(report)
    for frame in frames_of(source):
        faces = _faces(frame.index)
        seen = FaceFrame(frame, int(frame.index >= CUT), faces, len(faces))
        recorder.add(OutputFrame((), frame.layout, frame.color, 0, seen, bool(faces)))
    recorder.finish(Flow({}), 1.0)
    report_path(output).write_text(report.to_json(), encoding="utf-8")


def _faces(index: int) -> tuple[Face, ...]:
    def face(track: int, size: float, source: FaceSource = FaceSource.DETECTED) -> Face:
        points, angle = np.zeros((68, 2), np.float32), 0.1 * np.sin(index / 4)
        score = 0.9 - 0.01 * (index % 7) if source is FaceSource.DETECTED else 0.0
        square, apart = Similarity(72, 60, 40, angle), None if index % 4 else 0.5
        return Face(track, source, points, score, (72, 56), size + index / 10, 0.0, square, apart)

    if index < 2:
        return ()
    if index < CUT:
        return (face(0, 30, FaceSource.FILLED if index == 5 else FaceSource.DETECTED),)
    return (face(1, 40), face(2, 20))
