"""Settings as a device wants them."""

from pipeline import load_config
from pipeline.resources import with_room


def test_a_queue_holds_a_batch_and_none_stays_none():
    config = with_room(load_config(None, {"buffers.crop": 12}), 8)
    assert config.buffers.model_dump() == {"crop": 12, "synthesize": 8}
    none = load_config(None, {"buffers.crop": 0, "buffers.synthesize": 0})
    assert with_room(none, 8) == none
