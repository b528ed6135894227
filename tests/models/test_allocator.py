import sys

from models.allocator import settle_allocator


def test_takes_hold_where_there_is_glibc():
    assert settle_allocator() == (sys.platform == "linux")
