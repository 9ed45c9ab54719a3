"""How the regression of a round is solved: on the kernel, by conjugate gradients on its tiles, on random features."""
