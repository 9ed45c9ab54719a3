"""Where every position meets itself alone: one picture for a pair of images."""
