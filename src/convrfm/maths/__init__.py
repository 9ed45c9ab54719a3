"""Tensors in, tensors out: the formulas, with no module, hook, file or progress bar."""
