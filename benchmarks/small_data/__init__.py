"""Accuracy against the number of training images, from 10 on: `python -m benchmarks.small_data --data FOLDER`."""
