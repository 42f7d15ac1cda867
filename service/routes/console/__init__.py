"""Routes that the console's pages live from: many cameras' pictures by one answer, and how the whole service does."""
