"""What is kept: streams, events, messages and recordings in a database."""
