"""What stands in the environment, as values."""
