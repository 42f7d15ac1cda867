"""A training as a job on machines that may go at any time: its state lies in a store, and any attempt goes on there."""
