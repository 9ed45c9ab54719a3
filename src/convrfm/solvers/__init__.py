"""Solving the kernel ridge regression."""
