"""A cluster's nodes, where streams run, and what an API that stands by refuses."""
