"""Files: saved models."""
