"""A render in reduced precision: close to the float32 one, and no flicker more."""

import numpy as np

from pipeline.metrics import measure_arrays
from pipeline.resources import Loader
from pipeline.run import stream

SMALL = {"crop.max_pixels": 12_000, "crop.eye_distance_px": 24, "crop.frame": "full", "device": "cpu", "read.end": 4}


def pictures(source, loader, **changes):
    return [frame.image for frame in stream(source, overrides=SMALL | changes, loader=loader)]


def test_bf16_flickers_no_more_than_fp32(drifting):
    loader = Loader()
    source = pictures(drifting, loader, task={"kind": "none"})
    whole, reduced = (pictures(drifting, loader, precision=precision) for precision in ("fp32", "bf16"))
    error = np.mean([np.square(a.astype(np.float32) - b).mean() for a, b in zip(whole, reduced, strict=True)])
    assert 0 < error < 255**2 / 10**4  # 40 dB
    values = [
        {v.metric: v.value for v in measure_arrays(source, result).verdicts if v.value is not None}
        for result in (whole, reduced)
    ]
    compared = [
        name for name in ("warping_error", "high_frequency_energy", "frame_difference_ratio") if name in values[0]
    ]
    assert "warping_error" in compared
    assert "high_frequency_energy" in compared
    for name in compared:
        assert values[1][name] <= values[0][name] * 1.02, name
