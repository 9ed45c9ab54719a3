"""The algorithms of the paper: rounds (1), layers (2), what they share and what judges them."""
