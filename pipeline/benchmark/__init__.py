"""Measuring: reference formulations, pairs in one run, floors, clips of any length, size and number of faces."""

PARTS = ("network", "pipeline", "cost")
"""What one call may measure."""
