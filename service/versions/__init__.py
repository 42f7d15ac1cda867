"""Versions of models on disk: their names, which one serves, what is known of each."""
