"""The parts of ``benchmarks/false_events.py``: which videos, their people found once, every fold's answers."""
