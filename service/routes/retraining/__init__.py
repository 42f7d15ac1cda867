"""Routes of trainings."""
