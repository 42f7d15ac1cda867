"""Public data sets as they are published → a data set."""
