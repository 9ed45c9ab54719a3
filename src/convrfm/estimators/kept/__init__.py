"""What a fit leaves: all that it learned, its records, its files, and what another goes on from."""
