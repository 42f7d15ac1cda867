"""A data set → windows of clips, augmented → batches."""
