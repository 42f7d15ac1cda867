"""``actoscope case …``: one command a file."""
