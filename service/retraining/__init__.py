"""Trainings that the service runs beside the cameras, one at a time, in a process that makes room for them."""
