"""The structure of the house held by tests: who imports whom, how rooms hang together, and what the papers name."""
