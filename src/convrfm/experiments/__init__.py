"""One experiment of the paper a file."""
