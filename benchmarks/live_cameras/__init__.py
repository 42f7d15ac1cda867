"""What benchmarks/live.py is made of: camera videos, the straight line they are held to, one measured run, its figures."""
