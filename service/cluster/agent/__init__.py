"""A node of a cluster: runs what it is ordered to, and keeps what it has to tell until the leader has it."""
