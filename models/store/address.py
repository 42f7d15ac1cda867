"""``s3://bucket/prefix`` and folders, as people type them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from models.errors import StoreError

SCHEME = "s3://"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PART = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9!_.*'()@=+, -]{1,200}")


@dataclass(frozen=True, slots=True)
class Address:
    """``prefix`` has no slash at its ends; empty: the whole bucket."""

    bucket: str
    prefix: str = ""

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.prefix}".rstrip("/")

    def below(self, *parts: str) -> Address:
        return Address(self.bucket, "/".join(filter(None, (self.prefix, *parts))))

    def split(self) -> tuple[Address, str]:
        """→ what lies above, and the last part."""
        above, _, last = self.prefix.rpartition("/")
        return Address(self.bucket, above), last


Place = Address | Path


def parse_place(text: str) -> Place:
    """→ a folder, or an address of S3. Raises StoreError for an address that is none, never showing a credential."""
    if not text.lower().startswith(SCHEME):
        return Path(text)
    bucket, _, prefix = text[len(SCHEME) :].partition("/")
    if "@" in bucket or ":" in bucket:
        raise StoreError(
            f"expected {SCHEME}bucket/prefix; credentials come from AWS's own places (environment, profile, role), and "
            "another endpoint from ACTOSCOPE_S3_ENDPOINT"
        )
    parts = [part for part in prefix.split("/") if part]
    wrong = [part for part in parts if not _PART.fullmatch(part)]
    if not _BUCKET.fullmatch(bucket) or wrong:
        raise StoreError(f"expected {SCHEME}bucket/prefix, got {text!r}")
    return Address(bucket, "/".join(parts))


def below(place: Place, *parts: str) -> Place:
    return place.below(*parts) if isinstance(place, Address) else place.joinpath(*parts)


def split(place: Place) -> tuple[Place, str]:
    """→ what lies above, and the last part."""
    return place.split() if isinstance(place, Address) else (place.parent, place.name)
