"""Own videos → people in them → labelled examples → a data set."""
