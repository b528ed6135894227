"""How far a run is: a bar on a terminal, a log line every ten seconds elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn, TypeVar

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from stages.read import ReadConfig
from stages.types import ClipInfo

log = logging.getLogger(__name__)
LOG_EVERY_S = 10.0
T = TypeVar("T")


class StatusHandler(logging.Handler):
    """Shows what log records carry as `status` behind a bar, until one says "": a warm-up, for example."""

    def __init__(self, bar: tqdm[NoReturn]) -> None:
        super().__init__(logging.INFO)
        self._bar = bar

    def emit(self, record: logging.LogRecord) -> None:
        """Nothing for records without a status."""
        status = getattr(record, "status", None)
        if status is not None:
            self._bar.set_postfix_str(status)


@contextmanager
def _on(bar: tqdm[NoReturn]) -> Iterator[None]:
    """Within: log lines go above the bar instead of into it, and statuses behind it."""
    handler, root = StatusHandler(bar), logging.getLogger()
    with logging_redirect_tqdm():
        root.addHandler(handler)
        try:
            yield
        finally:
            root.removeHandler(handler)


def with_progress(frames: Iterator[T], clip: ClipInfo, read: ReadConfig, progress: bool) -> Iterator[T]:
    """Pass the frames of a range of `clip` on, and say how many there were."""
    total = clip.num_frames if read.end is None else read.end
    if total is not None:
        total = max(min(total, clip.num_frames or total) - read.start, 0)
    if progress and sys.stderr.isatty():
        with tqdm(total=total, unit="frame", desc=clip.path.name, dynamic_ncols=True) as bar, _on(bar):
            for item in frames:
                yield item
                bar.update()
        return
    started = logged = time.perf_counter()
    for count, item in enumerate(frames, start=1):
        yield item
        now = time.perf_counter()
        if progress and now - logged >= LOG_EVERY_S:
            logged, rate = now, count / (now - started)
            left = f", {(total - count) / rate:.0f} s left" if total else ""
            log.info("%s: frame %d of %s, %.2f frames/s%s", clip.path.name, count, total or "?", rate, left)
