"""Signatures of webhooks by Standard Webhooks 1.0.0: symmetric, ``v1``."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

PREFIX = "whsec_"
KEY_BYTES = 32
OVERLAP_S = 24 * 3600.0  # in which the old key signs too, so that receivers may change theirs


@dataclass(frozen=True, slots=True)
class Key:
    """``secret`` as the receiver has it, ``whsec_…``; ``until``: Unix time, None while it is the current one."""

    secret: str
    until: float | None = None


def new_key() -> Key:
    return Key(PREFIX + base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode())


def rotated(keys: Sequence[Key], now: float, overlap_s: float = OVERLAP_S) -> list[Key]:
    """→ a new key, and the current one for a while. One before that signs no more."""
    old = [Key(key.secret, now + overlap_s) for key in keys[:1] if overlap_s > 0]
    return [new_key(), *old]


def signatures(keys: Iterable[Key], message: str, timestamp: int, body: bytes, now: float) -> str:
    """→ the header ``webhook-signature``: one signature for each key that counts, separated by spaces."""
    signed = f"{message}.{timestamp}.".encode() + body
    return " ".join(_sign(key.secret, signed) for key in keys if key.until is None or key.until > now)


def _sign(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def to_plain(keys: Iterable[Key]) -> list[dict[str, Any]]:
    return [asdict(key) for key in keys]


def from_plain(values: Iterable[dict[str, Any]]) -> list[Key]:
    return [Key(**value) for value in values]
