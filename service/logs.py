"""Logging for every process: one line a record on stderr, as text or JSON, and never a password or a token."""

from __future__ import annotations

import json
import logging
import re
import sys
import time

from pipeline.sources.url import redact

_TOKEN = re.compile(r"\b(acto_[0-9a-f]{8}_)[A-Za-z0-9_-]{43}")
_SIGNATURE = re.compile(r"(?<=[?&]sig=)[^&\s\"']+")


def clean(text: str) -> str:
    """Without the credentials of URLs, the secrets of API tokens, the signatures of links to media."""
    return _SIGNATURE.sub("***", _TOKEN.sub(r"\1***", redact(text)))


class RedactingFormatter(logging.Formatter):
    """Formats, then cleans the finished text, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        return clean(super().format(record))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``time`` (RFC 3339), ``level``, ``logger``, ``message`` and ``exception`` if any."""

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        entry = {
            "time": stamp,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": clean(record.getMessage()),
        }
        if record.exc_info:
            entry["exception"] = clean(self.formatException(record.exc_info))
        return json.dumps(entry, ensure_ascii=False)


def configure(level: str, log_format: str) -> None:
    """Replaces the root handlers. ``log_format`` is ``text`` or ``json``."""
    handler = logging.StreamHandler(sys.stderr)
    text = RedactingFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    handler.setFormatter(JsonFormatter() if log_format == "json" else text)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("uvicorn", "uvicorn.error", "uvicorn.access", "alembic"):
        logger = logging.getLogger(chatty)
        logger.handlers.clear()
        logger.propagate = True
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # Its debug lines are the headers of websockets, cookies among them.
    logging.getLogger("uvicorn.error").setLevel(max(logging.INFO, root.level))
    logging.getLogger("httpx").setLevel(logging.WARNING)
