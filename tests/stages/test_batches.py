from hypothesis import given
from hypothesis import strategies as st

from stages.batches import batched, by_shape


@given(st.lists(st.integers()), st.integers(1, 9))
def test_batched_keeps_everything_in_order(items, size):
    groups = list(batched(iter(items), size))
    assert [x for group in groups for x in group] == items
    assert all(len(group) == size for group in groups[:-1])


@given(st.lists(st.sampled_from("abc")))
def test_by_shape_partitions(shapes):
    groups = by_shape(shapes)
    assert sorted(i for group in groups for i in group) == list(range(len(shapes)))
    assert all(len({shapes[i] for i in group}) == 1 for group in groups)
