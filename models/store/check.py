"""What a store can do, tried out: whoever sets one up sees at once what is missing, and for what it is needed."""

from __future__ import annotations

import hashlib
import secrets
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from models.errors import StoreConflictError, StoreError
from models.store.protocol import NEW, Store
from models.store.trees import put_file

_PLACE = "actoscope-check"
_LARGE = 9 << 20  # more than one part


@dataclass(frozen=True, slots=True)
class Outcome:
    """``words``: why it cannot, empty where it can."""

    what: str
    words: str = ""


def check_store(store: Store) -> Iterator[Outcome]:
    """One after another; all that they write is gone afterwards, as far as the store deletes."""
    prefix = f"{_PLACE}-{secrets.token_hex(4)}"
    tries: dict[str, Callable[[Store, str], None]] = {
        "write, and look at it": _write,
        "read": _read,
        "read a part (playback)": _read_part,
        "list": _list,
        "write only where nothing is (batch)": _write_new,
        "write only over what was read (batch)": _write_over,
        "a large file in parts": _write_large,
        "delete": _delete,
    }
    for what, attempt in tries.items():
        try:
            attempt(store, prefix)
            yield Outcome(what)
        except StoreError as error:
            yield Outcome(what, str(error))


def _write(store: Store, prefix: str) -> None:
    store.put_bytes(f"{prefix}/small", b"0123456789")


def _read(store: Store, prefix: str) -> None:
    _same(store.read(f"{prefix}/small")[0], b"0123456789")


def _read_part(store: Store, prefix: str) -> None:
    _same(b"".join(store.stream(f"{prefix}/small", 3, 5)), b"345")


def _list(store: Store, prefix: str) -> None:
    _same([found.key for found in store.list(prefix)], [f"{prefix}/small"])


def _write_new(store: Store, prefix: str) -> None:
    store.put_bytes(f"{prefix}/new", b"first", over=NEW)
    _must_conflict(lambda: store.put_bytes(f"{prefix}/new", b"second", over=NEW), "something else is there")


def _write_over(store: Store, prefix: str) -> None:
    first = store.put_bytes(f"{prefix}/over", b"first")
    store.put_bytes(f"{prefix}/over", b"second", over=first.tag)
    _must_conflict(lambda: store.put_bytes(f"{prefix}/over", b"third", over=first.tag), "it has changed")


def _write_large(store: Store, prefix: str) -> None:
    with tempfile.TemporaryDirectory(prefix="actoscope-") as folder:
        source, back = Path(folder) / "large", Path(folder) / "back"
        source.write_bytes(secrets.token_bytes(_LARGE))
        put_file(store, f"{prefix}/large", source)
        store.fetch(f"{prefix}/large", back, hashlib.sha256(source.read_bytes()).hexdigest())


def _delete(store: Store, prefix: str) -> None:
    for found in list(store.list(prefix)):
        store.delete(found.key)
    _same(list(store.list(prefix)), [])


def _must_conflict(write: Callable[[], object], when: str) -> None:
    try:
        write()
    except StoreConflictError:
        return
    raise StoreError(f"it writes although {when}: two jobs could overwrite each other")


def _same(found: object, expected: object) -> None:
    if found != expected:
        raise StoreError(f"expected {expected!r}, got {found!r}")
