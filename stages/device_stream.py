"""CUDA streams: what the thread behind the network asks of a GPU does not queue behind the next batch.

Reading, cropping and the network share PyTorch's default stream: the encoder needs what was cropped and nothing else is
waited for there, so that one queue keeps them in order. Putting back does wait, for finished code values, while the
network's thread has launched its next batch long since: in the same queue each frame would wait for that whole batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

import torch


def current_stream(device: torch.device) -> torch.cuda.Stream | None:
    """The calling thread's; None on a CPU."""
    return torch.cuda.current_stream(device) if device.type == "cuda" else None


def record(device: torch.device) -> torch.cuda.Event | None:
    """Done once everything is that the calling thread has launched on a GPU; None on a CPU."""
    stream = current_stream(device)
    if stream is None:
        return None
    event = torch.cuda.Event()
    event.record(stream)
    return event


class OwnStream:
    """A stream per GPU for one thread."""

    def __init__(self) -> None:
        self._streams: dict[torch.device, torch.cuda.Stream] = {}

    @contextmanager
    def after(self, devices: Iterable[torch.device], events: Iterable[torch.cuda.Event | None]) -> Iterator[None]:
        """Within: work for these GPUs goes to their own streams, behind `events` (None: behind all that was launched);
        at the end it is done, so that whoever owns the memory that it read may reuse it. Nothing happens on a CPU.
        """
        awaited = list(dict.fromkeys(events))
        with ExitStack() as stack:
            for device in dict.fromkeys(device for device in devices if device.type == "cuda"):
                stream = self._of(device)
                for event in awaited:
                    if event is None:
                        stream.wait_stream(torch.cuda.current_stream(device))
                    else:
                        stream.wait_event(event)
                stack.callback(stream.synchronize)
                stack.enter_context(torch.cuda.stream(stream))
            yield

    def _of(self, device: torch.device) -> torch.cuda.Stream:
        if device not in self._streams:  # small kernels: they go between those of the network
            self._streams[device] = torch.cuda.Stream(device, priority=-1)
        return self._streams[device]
