"""Where data sets, checkpoints, models and recordings lie when not on this disk alone: a folder, or a bucket of S3."""
