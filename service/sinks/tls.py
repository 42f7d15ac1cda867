"""Whom sinks trust: certificates are verified, always, by the usual authorities or by the one that a sink names."""

from __future__ import annotations

import os
import ssl

import httpx


def tls_context(ca: str | None) -> ssl.SSLContext:
    return httpx.create_ssl_context() if ca is None else ssl.create_default_context(cadata=ca)


def in_words(error: OSError) -> str:
    """Why there is no connection, for people. Texts of exceptions are not used: they may repeat what was sent."""
    if isinstance(error, ssl.SSLError):
        return _of_tls(error)
    return f"no connection: {os.strerror(error.errno) if error.errno else 'it was lost'}"


def _of_tls(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the receiver's certificate is refused: {error.verify_message}"
    return f"TLS does not come about: {error.reason or 'the connection was lost'}"
