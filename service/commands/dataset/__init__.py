"""``actoscope dataset …``: own videos, or public data sets → split clips to train on; one step a file."""
