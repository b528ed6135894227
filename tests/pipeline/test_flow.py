import threading
import time
from functools import partial

import pytest

from pipeline.flow import Flow, prefetch
from pipeline.spread import spread
from pipeline.telemetry import thread_rates


def counting(n, closed=None):
    try:
        yield from range(n)
    finally:
        if closed is not None:
            closed.append(threading.current_thread().name)


def living():
    return [t for t in threading.enumerate() if t.name == "prefetch"]


def test_measurements_may_wait_after_each_item_inside_the_stages_time():
    flow = Flow({}, finish=partial(time.sleep, 0.01))
    assert list(flow.link("b", flow.link("a", iter(range(3))))) == [0, 1, 2]
    assert all(meter.busy_s >= 0.03 for meter in flow.meters)


def test_prefetch_keeps_order_and_ends():
    closed = []
    assert list(prefetch(counting(100, closed), 3)) == list(range(100))
    assert closed == ["prefetch"]
    assert not living()


def test_prefetch_runs_at_most_depth_ahead():
    made = []

    def source():
        for i in range(50):
            made.append(i)
            yield i

    stream = prefetch(source(), 2)
    assert next(stream) == 0
    time.sleep(0.2)
    assert len(made) <= 1 + 2 + 1  # delivered, queued, in progress
    stream.close()
    assert not living()


def test_early_leave_closes_upstream_and_joins():
    closed = []
    for item in (stream := prefetch(counting(10**9, closed), 4)):
        if item == 5:
            break
    stream.close()
    assert closed == ["prefetch"]
    assert not living()


def test_error_crosses_the_thread_with_its_traceback():
    def source():
        yield 1
        raise LookupError("inside")

    stream = prefetch(source(), 2)
    assert next(stream) == 1
    with pytest.raises(LookupError, match="inside") as caught:
        next(stream)
    assert any(entry.name == "source" for entry in caught.traceback)
    assert not living()


def test_never_started_leaves_nothing():
    prefetch(counting(3), 2).close()
    assert not living()


def test_error_is_noted_once_with_stage_and_frame():
    def broken(items):
        for item in items:
            if item == 7:
                raise ValueError("seven")
            yield item

    for buffers in ({}, {"read": 2, "break": 2}):
        flow = Flow(buffers, frame_of=lambda position: 100 + position)
        stream = flow.link("after", (flow.link("break", broken(flow.link("read", counting(20))))))
        with pytest.raises(ValueError, match="seven") as caught:
            list(stream)
        (note,) = caught.value.__notes__
        assert note.startswith("stage break, frame 107")
        assert not living()


@pytest.mark.parametrize("group", [1, 3])
def test_lanes_side_by_side_note_the_frame_and_are_metered_together(group):
    def broken(items, at=None):
        for item in items:
            if item == at:
                raise ValueError("seven")
            yield item

    def whole(at=None):
        flow = Flow({"network": 2}, frame_of=lambda position: 100 + position)
        items = flow.link("read", counting(20))
        chains = [
            partial(lambda lane, items: lane.link("work", broken(lane.link("turn", items), at)), lane)
            for lane in flow.split(2, group)
        ]
        return flow, flow.link("after", flow.link("network", spread(items, chains, group)))

    flow, stream = whole()
    assert list(stream) == list(range(20))
    assert [(meter.name, meter.items) for meter in flow.stages()] == [
        ("read", 20),
        ("work", 20),
        ("network", 20),
        ("after", 20),
    ]
    _, stream = whole(at=7)
    with pytest.raises(ValueError, match="seven") as caught:
        list(stream)
    (note,) = caught.value.__notes__
    assert note.startswith("stage work, frame 107")
    assert not living()


def test_threaded_equals_sequential_and_meters_agree():
    def double(items):
        for item in items:
            yield 2 * item

    results = []
    for buffers in ({}, {"read": 3}, {"read": 1, "double": 1}):
        flow = Flow(buffers)
        results.append(list(flow.link("end", double(flow.link("double", double(flow.link("read", counting(30))))))))
        assert [m.items for m in flow.meters] == [30, 30, 30]
        assert len(thread_rates(flow.meters)) == 1 + len(buffers)
    assert results[0] == results[1] == results[2]


def test_busy_time_excludes_upstream_and_waiting():
    def slow(items):
        for item in items:
            time.sleep(0.01)
            yield item

    def source():
        for i in range(10):
            time.sleep(0.002)
            yield i

    for buffers in ({}, {"read": 2}):
        flow = Flow(buffers)
        list(flow.link("slow", slow(flow.link("read", source()))))
        read, slow_meter = flow.meters
        assert 0.015 < read.busy_s < 0.09
        assert 0.09 < slow_meter.busy_s < 0.4
