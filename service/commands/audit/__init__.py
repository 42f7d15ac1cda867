"""``actoscope audit …``: one command a file."""
