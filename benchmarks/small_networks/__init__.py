"""The parts of benchmarks/heads.py: a small network that learns again and again, rare fights, tables and pictures."""
