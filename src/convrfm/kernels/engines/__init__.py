"""Engines: each computes one tile of a kernel, and of its gradient, in its own way. One protocol."""
