"""The cuda engine: Triton programs."""
