"""The bar on a terminal, and what it says of a warm-up."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from pipeline.progress import with_progress
from stages.read import ReadConfig


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def frames() -> Iterator[int]:
    log = logging.getLogger("models.compiled")
    log.info("compiling", extra={"status": "compiling the encoder"})
    yield 0
    log.info("compiled", extra={"status": ""})
    yield from range(1, 5)


def test_a_warm_up_stands_in_the_bar_and_lines_go_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Terminal()
    monkeypatch.setattr("sys.stderr", shown)
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [logging.StreamHandler(shown)])
    monkeypatch.setattr(root, "level", logging.INFO)
    before = list(root.handlers)
    clip = SimpleNamespace(num_frames=5, path=SimpleNamespace(name="clip.mp4"))
    assert list(with_progress(frames(), clip, ReadConfig(), True)) == list(range(5))  # pyright: ignore[reportArgumentType]
    assert root.handlers == before
    text = shown.getvalue()
    lines = [line.strip() for line in text.replace("\r", "\n").splitlines()]
    assert "compiling" in lines
    assert "compiled" in lines
    assert any(line.startswith("clip.mp4") and line.endswith("compiling the encoder]") for line in lines)
    last = next(line for line in reversed(lines) if line.startswith("clip.mp4"))
    assert "5/5" in last
    assert "compiling" not in last
