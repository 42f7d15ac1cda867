"""The parts of benchmarks/live.py: camera videos, the straight line they are held to, a measured run, its figures."""
