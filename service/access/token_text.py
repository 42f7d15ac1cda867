"""How an API token is written: ``acto_<8 hex digits: its id>_<43 characters of base64url: 32 bytes>``."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from urllib.parse import unquote_plus

_TOKEN = re.compile(r"acto_([0-9a-f]{8})_([A-Za-z0-9_-]{43})")
_SOMEWHERE = re.compile(r"acto_([0-9a-f]{8})_")


@dataclass(frozen=True, slots=True)
class TokenText:
    """``secret`` is never kept, nor shown but once."""

    id: str
    secret: str

    def __str__(self) -> str:
        return f"acto_{self.id}_{self.secret}"

    def __repr__(self) -> str:
        return f"TokenText(acto_{self.id}_***)"

    @property
    def secret_hash(self) -> str:
        return hashlib.sha256(self.secret.encode()).hexdigest()

    def fits(self, secret_hash: str) -> bool:
        return hmac.compare_digest(self.secret_hash, secret_hash)


def new_token() -> TokenText:
    return TokenText(secrets.token_hex(4), secrets.token_urlsafe(32))


def parse_token(text: str) -> TokenText | None:
    match = _TOKEN.fullmatch(text)
    return None if match is None else TokenText(match[1], match[2])


def token_in_query(query_string: bytes) -> str | None:
    """→ the id of a token that stands in a URL, however often it is percent-encoded."""
    text = query_string.decode("latin-1")
    for _ in range(3):
        if match := _SOMEWHERE.search(text):
            return match[1]
        text = unquote_plus(text)
    return None
