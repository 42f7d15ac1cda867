"""The parts of benchmarks/ablations.py: rows, one run of one row, its figures and the table."""
