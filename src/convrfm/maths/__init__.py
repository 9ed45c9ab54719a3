"""The mathematics: arrays and tensors in, arrays and tensors out."""
