import torch
from hypothesis import given
from hypothesis import strategies as st

from stages.batches import batched, passes


@given(st.lists(st.integers()), st.integers(1, 9))
def test_batched_keeps_everything_in_order(items, size):
    groups = list(batched(iter(items), size))
    assert [x for group in groups for x in group] == items
    assert all(len(group) == size for group in groups[:-1])


@given(st.lists(st.sampled_from("abc")))
def test_passes_partition(shapes):
    assert passes(shapes, torch.device("cpu")) == [[i] for i in range(len(shapes))]
    groups = passes(shapes, torch.device("cuda"))
    assert sorted(i for group in groups for i in group) == list(range(len(shapes)))
    assert all(len({shapes[i] for i in group}) == 1 for group in groups)
