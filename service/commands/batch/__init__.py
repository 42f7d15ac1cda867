"""``actoscope batch …``: trainings as jobs of AWS Batch, or of whatever starts a command again when it dies."""
