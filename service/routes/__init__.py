"""The HTTP and websocket routes, one resource a module."""
