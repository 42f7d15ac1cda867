"""The base of all errors raised by ``service``."""

from __future__ import annotations


class ServiceError(Exception):
    """Every error of this package inherits it, and a builtin besides."""
