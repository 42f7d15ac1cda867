"""The parts of benchmarks/gpu.py: one file for compiling, one for the measurement, one for the table."""
