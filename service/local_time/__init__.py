"""Times of day as people say them, in a named zone, across changes of the clock."""
