"""Trainings as they are stored: one row each, from the order to what the gate said."""
