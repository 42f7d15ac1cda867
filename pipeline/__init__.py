"""Pixels and people: sources, detection, tracking, crops, clips, smoothing, overlay."""
