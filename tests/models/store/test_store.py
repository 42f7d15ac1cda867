"""What folders and buckets have in common."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from models.errors import NotStoredError, StoreConflictError, StoreError
from models.store.address import Address, parse_place
from models.store.check import check_store
from models.store.opening import open_store
from models.store.protocol import NEW, Store
from tests.support.places import REPOSITORY


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_file_is_kept_seen_read_in_part_fetched_and_deleted(store: Store, tmp_path: Path) -> None:
    content = bytes(range(256)) * 40
    source, steps = tmp_path / "source", list[int]()
    source.write_bytes(content)
    stored = store.put("runs/gym/epoch-0001.ckpt", source, sha(content), steps.append)
    assert (stored.key, stored.size, sum(steps)) == ("runs/gym/epoch-0001.ckpt", len(content), len(content))
    found = store.head("runs/gym/epoch-0001.ckpt")
    assert found is not None and (found.size, found.tag) == (stored.size, stored.tag)
    assert b"".join(store.stream("runs/gym/epoch-0001.ckpt", 255, 300)) == content[255:301]
    store.fetch("runs/gym/epoch-0001.ckpt", tmp_path / "new" / "back", sha(content))
    assert (tmp_path / "new" / "back").read_bytes() == content
    store.delete("runs/gym/epoch-0001.ckpt")
    store.delete("runs/gym/epoch-0001.ckpt")  # what is gone is gone
    assert store.head("runs/gym/epoch-0001.ckpt") is None


def test_list_has_everything_below_a_prefix_in_order(store: Store) -> None:
    for key in ("b/2", "a", "b/1/x", "bb"):
        store.put_bytes(key, key.encode())
    assert [(found.key, found.size) for found in store.list("b")] == [("b/1/x", 5), ("b/2", 3)]
    assert [found.key for found in store.list()] == ["a", "b/1/x", "b/2", "bb"]
    assert list(store.list("c")) == []


def test_write_under_a_condition_is_refused_where_somebody_else_wrote(store: Store) -> None:
    first = store.put_bytes("LATEST", b"1", over=NEW)
    with pytest.raises(StoreConflictError):
        store.put_bytes("LATEST", b"2", over=NEW)
    second = store.put_bytes("LATEST", b"2", over=first.tag)
    with pytest.raises(StoreConflictError):
        store.put_bytes("LATEST", b"3", over=first.tag)
    content, found = store.read("LATEST")
    assert (content, found.tag, found.sha256) == (b"2", second.tag, sha(b"2"))
    with pytest.raises(StoreConflictError):
        store.put_bytes("nothing", b"1", over=first.tag)


def test_what_is_not_there_and_what_is_too_large_is_told(store: Store, tmp_path: Path) -> None:
    with pytest.raises(NotStoredError, match="missing is not there"):
        store.read("missing")
    with pytest.raises(NotStoredError):
        store.fetch("missing", tmp_path / "back", sha(b""))
    with pytest.raises(NotStoredError):
        next(iter(store.stream("missing", 0, 1)))
    store.put_bytes("large", b"12345")
    with pytest.raises(StoreError, match="4"):
        store.read("large", limit=4)


def test_file_that_is_not_what_its_hash_says_is_refused_and_leaves_nothing(store: Store, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"changed meanwhile")
    with pytest.raises(StoreError, match="source has"):
        store.put("file", tmp_path / "source", sha(b"as it was"))
    assert store.head("file") is None
    store.put_bytes("file", b"something else")
    with pytest.raises(StoreError, match="sha256"):
        store.fetch("file", tmp_path / "out" / "back", sha(b"as it was"))
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("key", ["", "/etc/passwd", "a/../../b", "a//b", "a\\b", "a\0b"])
def test_key_that_leads_elsewhere_is_refused(key: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="expected a key"):
        open_store(tmp_path).put_bytes(key, b"")


def test_check_finds_everything_in_order_and_leaves_nothing(store: Store) -> None:
    outcomes = list(check_store(store))
    assert [outcome for outcome in outcomes if outcome.words] == []
    assert len(outcomes) == 8
    assert list(store.list()) == []


def test_check_names_what_a_store_cannot_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(tmp_path)
    plain = store.put_bytes
    monkeypatch.setattr(store, "put_bytes", lambda key, content, over=None: plain(key, content))
    wrong = {outcome.what: outcome.words for outcome in check_store(store) if outcome.words}
    assert set(wrong) == {"write only where nothing is (batch)", "write only over what was read (batch)"}
    assert all("two jobs could overwrite each other" in words for words in wrong.values())


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("s3://bucket", Address("bucket")),
        ("s3://bucket/a//b/", Address("bucket", "a/b")),
        ("S3://bucket/a", Address("bucket", "a")),
        ("some/folder", Path("some/folder")),
    ],
)
def test_address_or_folder_is_told_apart(text: str, place: Address | Path) -> None:
    assert parse_place(text) == place
    assert isinstance(place, Path) or parse_place(str(place)) == place


@pytest.mark.parametrize("text", ["s3://", "s3://B_/a", "s3://bucket/../other", "s3://bucket/a?b", "s3://bucket/a\nb"])
def test_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(StoreError, match=re.escape("expected s3://bucket/prefix")):
        parse_place(text)


def test_credentials_in_an_address_are_refused_and_not_shown() -> None:
    with pytest.raises(StoreError) as refused:
        parse_place("s3://AKIAC4N4RY:secret@bucket/prefix")
    assert "C4N4RY" not in str(refused.value) and "secret" not in str(refused.value)


def test_boto3_is_loaded_for_addresses_of_s3_only_and_its_absence_is_told(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom models.errors import StoreError\n"
        "from models.store.address import Address\nfrom models.store.opening import open_store\n"
        f"open_store(Path({str(tmp_path)!r})).put_bytes('a', b'1')\nassert 'boto3' not in sys.modules\n"
        "sys.modules['boto3'] = None\n"
        "try:\n    open_store(Address('bucket'))\nexcept StoreError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("s3://bucket needs more packages: pip install -e '.[s3]'")
