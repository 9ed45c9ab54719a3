<<<<<<< HEAD
"""One experiment of the paper a file."""
=======
"""The paper's experiments, and the tour: each from one command."""
>>>>>>> main
