"""The order in which a thread's own stream waits and is waited for, on a CUDA that only takes notes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from stages.device_stream import OwnStream, record

GPU = torch.device("cuda", 0)


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    taken: list[str] = []

    class Stream:
        def __init__(self, device: torch.device, priority: int) -> None:
            taken.append("made")

        def wait_event(self, event: object) -> None:
            taken.append(f"waits for {event}")

        def wait_stream(self, stream: object) -> None:
            taken.append(f"waits for {stream}")

        def synchronize(self) -> None:
            taken.append("done")

    @contextmanager
    def within(stream: Stream) -> Iterator[None]:
        taken.append("begins")
        yield

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", within)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: "all")
    return taken


def test_work_waits_for_the_pictures_and_is_waited_for(notes: list[str]) -> None:
    own = OwnStream()
    with own.after([GPU], ["batch 0"]):  # pyright: ignore[reportArgumentType]
        notes.append("work")
    with own.after([GPU], [None]):
        pass
    once = ["begins", "done"]
    assert notes == ["made", "waits for batch 0", "begins", "work", "done", "waits for all", *once]


def test_frames_of_several_batches_and_gpus_are_waited_for(notes: list[str]) -> None:
    with OwnStream().after([GPU, GPU, torch.device("cuda", 1)], ["a", "b", "b"]):  # pyright: ignore[reportArgumentType]
        notes.append("work")
    one = ["made", "waits for a", "waits for b", "begins"]
    assert notes == [*one, *one, "work", "done", "done"]


def test_after_an_error_nothing_is_under_way(notes: list[str]) -> None:
    with pytest.raises(ValueError, match="of the work"), OwnStream().after([GPU], [None]):
        raise ValueError("of the work")
    assert notes[-1] == "done"


def test_a_cpu_has_none(notes: list[str]) -> None:
    with OwnStream().after([torch.device("cpu")], [None]):
        assert record(torch.device("cpu")) is None
    assert notes == []


@pytest.mark.needs_cuda
def test_work_on_the_own_stream_sees_what_was_launched_before() -> None:
    own, device = OwnStream(), torch.device("cuda", torch.cuda.current_device())
    x = torch.zeros(1 << 24, device=device)
    for _ in range(50):
        x += 1
    ready = record(device)
    later = x.clone()
    for _ in range(50):
        later += 1
    with own.after([device], [ready]):
        assert torch.cuda.current_stream(device) != torch.cuda.default_stream(device)
        found = x.amin(), x.amax()
    assert [float(each) for each in found] == [50, 50]
