"""Vectors for numba: sixteen lanes in one value, and what is computed on them."""
