"""How items move between stages: the one thread primitive, and the links that time it and name what failed."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

from pipeline.telemetry import StageMeter, side_by_side

T = TypeVar("T")
_POLL_S = 0.05


def prefetch(
    upstream: Generator[T, None, None], depth: int, meter: StageMeter | None = None
) -> Generator[T, None, None]:
    """Run `upstream` on a thread of its own, at most `depth` finished items ahead of the consumer.

    Order is kept. An error of `upstream` is raised again in the consumer with its traceback. Leaving early (``break``,
    an exception, Ctrl-C) stops the thread after the item that it is working on, closes `upstream` on that thread, and
    joins it: none is left behind. `meter.waited_s` receives the seconds that the consumer waited.
    """
    items: queue.Queue[tuple[Any, BaseException | None, bool]] = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def put(item: Any, error: BaseException | None = None, end: bool = False) -> None:
        while not stop.is_set():  # a plain put() would hang for ever once the consumer has left
            try:
                return items.put((item, error, end), timeout=_POLL_S)
            except queue.Full:
                continue

    def work() -> None:
        try:
            with contextlib.closing(upstream):
                for item in upstream:
                    put(item)
                    if stop.is_set():
                        return
        except BaseException as error:
            put(None, error)
        else:
            put(None, end=True)

    worker = threading.Thread(target=work, name="prefetch", daemon=True)
    try:
        worker.start()
        while True:
            start = time.perf_counter()
            item, error, end = items.get()
            if meter is not None:
                meter.waited_s += time.perf_counter() - start
            if error is not None:
                raise error
            if end:
                return
            if meter is not None:
                meter.delivered += 1
            yield item
    finally:
        stop.set()
        if worker.ident is not None:
            worker.join()


class Flow:
    """Ties stages together: each `link` meters its stage and gives it a thread where `buffers` names it.

    Args:
        buffers: stage name → queue depth. The stages up to and including a named one run on one thread, at most `depth`
            items ahead of what follows. An empty mapping runs everything on the caller's thread, with the same result.
        frame_of: number of an item → frame number, for the notes on errors.
        finish: called after each item of a stage, inside its time: for measurements, to wait for a GPU.
    """

    def __init__(
        self,
        buffers: Mapping[str, int],
        frame_of: Callable[[int], int] = int,
        finish: Callable[[], object] | None = None,
    ) -> None:
        self.meters: list[StageMeter] = []
        self._lanes: list[Flow] = []
        self._split_at = 0
        self._last: Generator[Any, None, None] | None = None
        self._buffers = buffers
        self._frame_of = frame_of
        self._finish = finish

    def split(self, count: int, group: int) -> list[Flow]:
        """`count` flows that share the work of the next link, `group` items at a time in turns (pipeline/spread.py)."""
        self._lanes = [Flow({}, partial(self._dealt, lane, count, group)) for lane in range(count)]
        self._split_at = len(self.meters)
        return self._lanes

    def stages(self) -> list[StageMeter]:
        """The meters of every stage in order, those of the lanes taken together before their common link."""
        shared = side_by_side([lane.meters for lane in self._lanes])
        return [*self.meters[: self._split_at], *shared, *self.meters[self._split_at :]]

    def lane_waits(self) -> list[float]:
        """Seconds that each lane waited for its turn; [] where nothing was split."""
        return [lane.meters[0].spent_s for lane in self._lanes if lane.meters]

    def _dealt(self, lane: int, count: int, group: int, position: int) -> int:
        return self._frame_of((position // group * count + lane) * group + position % group)

    def link(self, name: str, items: Iterator[T], queue_of: str | None = None) -> Generator[T, None, None]:
        """Return `items`, metered under `name`, and on its own thread when `buffers` says so for it or `queue_of`."""
        upstream = self.meters[-1] if self.meters else None
        meter = StageMeter(name, upstream)
        self.meters.append(meter)
        linked = self._metered(meter, items, self._last)
        depth = self._buffers.get(queue_of or name, 0)
        if depth:
            meter.buffered = depth
            linked = prefetch(linked, depth, meter)
        self._last = linked
        return linked

    def _metered(
        self, meter: StageMeter, items: Iterator[T], upstream: Generator[Any, None, None] | None
    ) -> Generator[T, None, None]:
        try:
            while True:
                start = time.perf_counter()
                try:
                    item = next(items)
                    if self._finish is not None:
                        self._finish()
                except StopIteration:
                    return
                except Exception as error:
                    if not getattr(error, "__notes__", None):
                        frame = self._frame_of(meter.position)
                        error.add_note(f"stage {meter.name}, frame {frame} or up to its look-ahead before it")
                    raise
                finally:
                    meter.spent_s += time.perf_counter() - start
                meter.items += 1
                if not meter.buffered:
                    meter.delivered += 1
                yield item
        finally:
            for ending in (items, upstream):  # the stage first, then what feeds it, back to the source
                close = getattr(ending, "close", None)
                if close is not None:
                    close()
