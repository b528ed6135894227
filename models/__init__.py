"""Networks only: no video, no YAML, no printing. Imports nothing of `stages` or `pipeline`."""
