"""Versions of models take over from each other: tried, promoted, rolled back."""
