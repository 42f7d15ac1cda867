"""One training from beginning to end: checked, fitted, logged, kept, written as a weights folder."""
