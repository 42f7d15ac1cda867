"""Pixels and people: sources, detection, tracking, crops, clips, smoothing, overlay. No network code above this level."""
