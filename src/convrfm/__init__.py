"""Feature learning in convolutional networks: measured, and learned without back-propagation."""
