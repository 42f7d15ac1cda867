"""Overlay, recording and live picture; recorded files and their upkeep."""
