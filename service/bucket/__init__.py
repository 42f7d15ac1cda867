"""Recordings and incidents' files in a bucket of S3: sent, looked at, read, deleted, compared with their rows."""
