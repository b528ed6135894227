"""The loop over shots: one object a shot, nothing lost, the source closed."""

from collections import namedtuple

import pytest

from stages.by_shot import by_shot

Item = namedtuple("Item", "shot value")


class Held:
    """Gives each item one late, with the value that its shot began with."""

    def __init__(self, first):
        self.first, self.waiting = first.value, []

    def push(self, item):
        self.waiting.append(item)
        if len(self.waiting) > 1:
            yield self.first, self.waiting.pop(0).value

    def finish(self):
        yield from ((self.first, item.value) for item in self.waiting)


@pytest.mark.parametrize("shots", [[], [0], [0, 0, 0], [0, 0, 1, 1, 1, 4], [0, 1, 2]])
def test_every_item_goes_through_its_own_shot(shots):
    closed = []

    def source():
        try:
            yield from (Item(shot, value) for value, shot in enumerate(shots))
        finally:
            closed.append(True)

    assert list(by_shot(source(), Held)) == [(shots.index(shot), value) for value, shot in enumerate(shots)]
    assert closed == [True]


def test_leaving_early_closes_the_source():
    closed = []

    def source():
        try:
            for value in range(100):
                yield Item(0, value)
        finally:
            closed.append(True)

    loop = by_shot(source(), Held)
    assert next(loop) == (0, 0)
    loop.close()
    assert closed == [True]
