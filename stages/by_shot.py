"""The loop of every stage that works shot by shot: nothing is carried over a cut but what the next shot asks for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable
from typing import Protocol, TypeVar


class Numbered(Protocol):
    """What flows in."""

    @property
    def shot(self) -> int: ...


In = TypeVar("In", bound=Numbered)
Out = TypeVar("Out")
In_contra = TypeVar("In_contra", bound=Numbered, contravariant=True)
Out_co = TypeVar("Out_co", covariant=True)


class Shot(Protocol[In_contra, Out_co]):
    """A stage's work on one shot."""

    def push(self, item: In_contra) -> Iterable[Out_co]:
        """Take the next item; give what is finished by it."""
        ...

    def finish(self) -> Iterable[Out_co]:
        """The shot is over: give the rest."""
        ...


def by_shot(items: Generator[In, None, None], begin: Callable[[In], Shot[In, Out]]) -> Generator[Out, None, None]:
    """Send every item through its shot's own object, in order; `items` is closed at the end.

    Args:
        begin: first item of a shot → the shot.
    """
    shot: Shot[In, Out] | None = None
    number = 0
    with contextlib.closing(items):
        for item in items:
            if shot is None or item.shot != number:
                if shot is not None:
                    yield from shot.finish()
                shot, number = begin(item), item.shot
            yield from shot.push(item)
        if shot is not None:
            yield from shot.finish()
