"""The straight line on files, without a server."""
