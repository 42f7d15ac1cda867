"""From raw videos to per-person clips with labels and splits, and from those to batches for training."""
