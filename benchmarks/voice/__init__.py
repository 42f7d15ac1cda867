"""The parts of benchmarks/voices.py: people, what is cut around them, what is said of it, and what is made of that."""
