"""``actoscope users …``: who may log in, also while the service runs."""
