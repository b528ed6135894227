"""Lines are drawn where a picture is darker than its surroundings."""

import numpy as np

from models.lines import draw_lines


def test_lines_are_drawn_where_it_is_darker():
    grey = np.full((64, 64), 0.6, np.float32)
    grey[30:33] = 0.3
    lines = draw_lines(grey)
    assert lines[31].max() < 0.1
    assert lines[:20].min() == 1
    assert draw_lines(np.full((16, 16), 0.4, np.float32)).min() == 1
    # A bright line on dark paints nothing on itself.
    assert draw_lines(1 - grey)[31].min() == 1
