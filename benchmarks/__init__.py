"""Committed measurements: each script prints a table and writes JSON; ``python benchmarks/NAME.py``."""
