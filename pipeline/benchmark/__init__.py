"""Measuring: reference formulations, pairs in one run, floors."""
