"""What convrfm does on a GPU: `python -m benchmarks.gpu`."""
