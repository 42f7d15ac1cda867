"""``actoscope tokens …``: what programs identify themselves with, also while the service runs."""
