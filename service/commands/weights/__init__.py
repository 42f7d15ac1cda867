"""``actoscope weights …``: fetch and list networks, one command a file."""
