"""Several chains in turns: order, bounds, errors, no thread left."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest

from models.config import SIZES
from models.styleganex import StyleGANEX
from models.zoo import LoadedModel
from pipeline import load_config, stream
from pipeline.resources import places
from pipeline.spread import spread
from stages.recipe import Tools
from stages.track import load_detector
from tests.pipeline.tiny import tiny_model


def numbers(count: int, closed: list[str] | None = None) -> Generator[int, None, None]:
    try:
        yield from range(count)
    finally:
        if closed is not None:
            closed.append("source")


def tagged(name: str, group: int = 1, delay: float = 0.0):
    """A chain that waits for groups as a stage with batches does, and says who did what."""

    def chain(items: Generator[int, None, None]) -> Generator[tuple[int, str, str], None, None]:
        held: list[int] = []
        for item in items:
            held.append(item)
            if len(held) == group:
                time.sleep(delay)
                yield from ((each, name, threading.current_thread().name) for each in held)
                held = []
        yield from ((each, name, threading.current_thread().name) for each in held)

    return chain


@pytest.mark.parametrize("group", [1, 3])
@pytest.mark.parametrize("count", [0, 1, 3, 20])
def test_order_is_kept_and_groups_are_dealt_in_turn(group: int, count: int) -> None:
    chains = [tagged("slow", group, 0.01), tagged("quick", group)]
    result = list(spread(numbers(count), chains, group))
    assert [item for item, _, _ in result] == list(range(count))
    assert [name for _, name, _ in result] == [("slow", "quick")[k // group % 2] for k in range(count)]
    assert all(thread == "prefetch" for _, _, thread in result)


def test_chains_work_at_the_same_time() -> None:
    meeting = threading.Barrier(2, timeout=10)

    def chain(items: Generator[int, None, None]) -> Generator[int, None, None]:
        for item in items:
            if item >= 2:  # the first round starts them one by one
                meeting.wait()
            yield item

    assert list(spread(numbers(6), [chain, chain], 1)) == list(range(6))


def test_no_more_than_two_groups_per_chain_are_taken_ahead() -> None:
    taken: list[int] = []

    def source() -> Generator[int, None, None]:
        for item in range(100):
            taken.append(item)
            yield item

    stream = spread(source(), [tagged("a", 2), tagged("b", 2)], 2)
    for _ in range(10):
        next(stream)
    assert len(taken) <= 10 + 2 * 2 * 2
    stream.close()


def test_leaving_early_closes_everything() -> None:
    closed: list[str] = []

    def chain(items: Generator[int, None, None]) -> Generator[int, None, None]:
        try:
            yield from items
        finally:
            closed.append("chain")

    stream = spread(numbers(1000, closed), [chain, chain], 4)
    assert [next(stream) for _ in range(5)] == list(range(5))
    stream.close()
    assert sorted(closed) == ["chain", "chain", "source"]
    assert not [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def test_an_error_of_a_chain_arrives_behind_what_came_before_it() -> None:
    def broken(items: Generator[int, None, None]) -> Generator[tuple[int, str, str], None, None]:
        for item in items:
            if item == 3:
                raise RuntimeError("no more")
            yield item, "broken", ""

    stream = spread(numbers(100), [tagged("whole"), broken], 1)
    assert [next(stream)[0] for _ in range(3)] == [0, 1, 2]
    with pytest.raises(RuntimeError, match="no more"):
        next(stream)


def test_an_error_of_the_source_arrives() -> None:
    def source() -> Generator[int, None, None]:
        yield 0
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(spread(source(), [tagged("a"), tagged("b")], 1))


def test_two_devices_give_the_same_file(sample_clip: Path, tmp_path: Path) -> None:
    model = tiny_model(tmp_path, "toonify")
    frames = {}
    for device, batch in (("cpu", 1), ("cpu,cpu", 1), ("cpu,cpu", 3)):
        overrides = {"device": device, "batch_size": batch, "model": str(model), "read.end": 7, "threads": 1}
        frames[device, batch] = [frame.image for frame in stream(sample_clip, overrides=overrides)]
    one = frames["cpu", 1]
    assert len(one) == 7
    for several in frames.values():
        assert all(np.array_equal(a, b) for a, b in zip(one, several, strict=True))


@pytest.mark.parametrize(
    ("task", "settings", "word"),
    [
        ("inversion", {"task.optimize.steps": 1}, "optimisation"),
        ("toonify", {"latents.save": "w.safetensors"}, "latent file"),
        ("sketch_to_face", {}, "own input"),
    ],
)
def test_what_one_device_must_do_alone_says_so(
    one_thread: None, task: str, settings: dict[str, object], word: str, caplog: pytest.LogCaptureFixture
) -> None:
    config = load_config(None, {"task": {"kind": task}, "device": "cpu,cpu", **settings})
    net = StyleGANEX(SIZES["tiny"])
    recipe = config.task.recipe(Tools(net, "tiny", load_detector(config.track), 0))
    assert places(config, recipe, LoadedModel(net, "tiny", Path("tiny"), "", False)) == ("cpu",)
    assert word in caplog.text
