"""Tracks and labels in the formats of other programs."""
