"""Where positions meet in pairs, as pooling makes them."""
