"""What all engines need: the recursion of a kernel, and which pairs of positions it keeps."""
