"""``actoscope …``: one command a file."""
