"""What a stage is, and the base of every configuration section."""

from collections.abc import Iterator
from typing import Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

In = TypeVar("In", contravariant=True)
Out = TypeVar("Out", covariant=True)


class Section(BaseModel):
    """A part of the YAML file: frozen, and a key that it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Stage(Protocol[In, Out]):
    """A passive step: a lazy stream in, a lazy stream out.

    `stream` is a generator. It opens its resources inside itself and closes them, and `items`, in its `finally`
    (``with contextlib.closing(items)``); what follows its loop is its flush. It starts no threads and keeps no state
    in the object between two streams, so one stage object can be used again.
    """

    @property
    def name(self) -> str:
        """The stage's word in configuration, logs and reports."""
        ...

    @property
    def lookahead(self) -> int:
        """The most items that it holds back before its first output (smoothing radius, batch size)."""
        ...

    def stream(self, items: Iterator[In]) -> Iterator[Out]:  # pyright: ignore[reportInvalidTypeVarUse]
        """Consume `items` lazily and in order; yield results in the same order."""
        ...
