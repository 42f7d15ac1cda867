"""What a cluster knows of itself: its nodes, who has which stream, who leads. PostgreSQL only."""
