"""Corrected labels → a further version of a network, and whether it is better: ``actoscope retrain``."""
