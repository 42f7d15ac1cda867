"""Names on an MQTT broker: topics, and names of people's making turned into ids that every broker and program takes."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
LONGEST = 48  # letters of a name that an id keeps
HOME_ASSISTANT = "homeassistant"
HOME_ASSISTANT_STATUS = f"{HOME_ASSISTANT}/status"


def slugs(names: Iterable[str], reserved: Collection[str] = ()) -> dict[str, str]:
    """→ each name's id of ``[a-z0-9_-]``, no two alike.

    An id is the name in small letters with ``_`` for all else. Where names would share one, or little is left of a
    name, a hash of the name follows behind a ``-``, which no other id has.
    """
    plain = {name: _plain(name) for name in names}
    shared = Counter(plain.values())
    return {
        name: slug if _keeps(name, slug) and shared[slug] == 1 and slug not in reserved else _hashed(name, slug)
        for name, slug in plain.items()
    }


def _plain(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name[: 4 * LONGEST]).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "_", letters).strip("_")[:LONGEST]


def _keeps(name: str, slug: str) -> bool:
    """Whether a slug says enough of its name to stand alone."""
    return bool(slug) and len(name) <= LONGEST


def _hashed(name: str, slug: str) -> str:
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{slug or 'name'}-{digest[:12]}"


def checked_id(text: str) -> str:
    """Raises ValueError for what may not stand in a topic."""
    if not ID.fullmatch(text):
        raise ValueError(f"expected 1 to 64 letters, digits, _ and -, got {text[:80]!r}")
    return text


@dataclass(frozen=True, slots=True)
class Topics:
    """All below ``<prefix>/<node>``; the node's name keeps two services on one broker apart."""

    prefix: str
    node: str

    def __post_init__(self) -> None:
        checked_id(self.node)
        if not self.prefix or any(not ID.fullmatch(part) for part in self.prefix.split("/")):
            raise ValueError(f"expected a prefix such as actoscope or home/actoscope, got {self.prefix[:80]!r}")

    @property
    def root(self) -> str:
        return f"{self.prefix}/{self.node}"

    @property
    def available(self) -> str:
        """Whether the service is there: ``online``, and ``offline`` as its will."""
        return f"{self.root}/available"

    @property
    def incidents(self) -> str:
        return f"{self.root}/incidents"

    @property
    def notices(self) -> str:
        """What concerns no incident: streams that fail, sinks that are disabled, tests."""
        return f"{self.root}/notices"

    def stream(self, stream_id: str, *path: str) -> str:
        """→ ``<root>/<stream_id>/<path…>``. Raises ValueError for what is no id."""
        return "/".join((self.root, *map(checked_id, (stream_id, *path))))

    def device(self, stream_id: str | None = None) -> str:
        """→ the id of a device of Home Assistant: a stream's, or the node's."""
        return f"actoscope_{self.node}" if stream_id is None else f"actoscope_{self.node}_{checked_id(stream_id)}"
