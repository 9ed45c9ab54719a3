"""Measured against the competition: `python -m benchmarks`."""
