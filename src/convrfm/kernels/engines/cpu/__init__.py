"""The cpu engine: sixteen pairs of images at once, compiled by numba."""
