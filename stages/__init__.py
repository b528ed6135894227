"""What happens to a frame: one file, one arrow. Imports `models`, never `pipeline`."""
