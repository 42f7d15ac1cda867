"""Versions of models: listed, tried, promoted, rolled back."""
