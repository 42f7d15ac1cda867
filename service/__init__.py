"""The running system: processes, REST and websocket interface, recordings, command line."""
