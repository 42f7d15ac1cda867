"""Trainings as jobs of machines that Ray knows: who runs which fold or trial, and what follows when one goes."""
