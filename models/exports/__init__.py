"""``actoscope export``: converted networks, each held to its network on real clips before it is kept."""
