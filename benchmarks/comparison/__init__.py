"""The parts of benchmarks/classifier.py: rows, the processes that run them, weights folders, peers and the table."""
