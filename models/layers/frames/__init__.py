"""Layers behind the features of single pictures, (B, T, D): which pictures there are, and what they say together."""

Shape = tuple[int | None, ...]
