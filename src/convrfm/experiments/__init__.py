"""The paper's experiments, and the tour: each from one command."""
