"""Clips of other nodes' streams that are classified here, and ours that another node classifies."""
