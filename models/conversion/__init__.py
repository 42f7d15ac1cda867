"""A saved network → the file that a runtime opens: one format a file, each in a process of its own."""
