"""A bucket behind a connection that fails: nothing is lost, nothing is taken for whole that is not."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from botocore.config import Config

from models.errors import NotStoredError, StoreConflictError, StoreError, StoreUnavailableError
from models.store import s3
from models.store.address import Address
from models.store.multipart import PART_BYTES
from models.store.opening import open_store
from models.store.protocol import NEW, Store
from tests.support.s3 import BUSY, CUT, DENIED, GONE, SLOW, SLOW_S, WRONG_TAG, FaultProxy, first

LARGE = PART_BYTES * 2 + 1000


def large(folder: Path) -> tuple[Path, str]:
    path = folder / "large"
    path.write_bytes(os.urandom(LARGE))
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def small(folder: Path) -> tuple[Path, str]:
    path = folder / "small"
    path.write_bytes(b"0123456789" * 1000)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def parts_sent(proxy: FaultProxy) -> list[str]:
    return [
        line.partition("partNumber=")[2][0] for line in proxy.asked if line.startswith("PUT") and "partNumber" in line
    ]


@pytest.mark.parametrize("fault", [BUSY, GONE])
def test_one_failed_request_is_tried_again(fault: str, shaky: Store, proxy: FaultProxy, tmp_path: Path) -> None:
    path, sha256 = small(tmp_path)
    proxy.judge = first(1, fault, "PUT")
    shaky.put("file", path, sha256)
    assert sum(line.startswith("PUT") for line in proxy.asked) == 2
    assert shaky.read("file")[0] == path.read_bytes()


def test_answer_that_does_not_come_in_time_is_asked_for_again_and_then_given_up(
    proxy: FaultProxy, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = s3._CONFIG.merge(Config(read_timeout=SLOW_S / 3, retries={"total_max_attempts": 2}))
    monkeypatch.setattr(s3, "_CONFIG", impatient)
    store = open_store(Address(bucket), proxy.url)
    path, sha256 = small(tmp_path)
    proxy.judge = first(1, SLOW, "PUT")
    assert store.put("file", path, sha256).sha256 == sha256
    proxy.judge = first(9, SLOW, "HEAD")
    with pytest.raises(StoreUnavailableError, match="s3://"):
        store.put("other", path, sha256)


def test_tag_that_is_not_the_written_ones_is_written_again_and_then_refused(
    shaky: Store, proxy: FaultProxy, tmp_path: Path
) -> None:
    path, sha256 = small(tmp_path)
    proxy.judge = first(1, WRONG_TAG, "PUT")
    assert shaky.put("file", path, sha256).sha256 == sha256
    proxy.judge = first(9, WRONG_TAG, "PUT")
    with pytest.raises(StoreError, match="is not as it was sent"):
        shaky.put("file", path, sha256)


def test_condition_holds_where_the_answer_was_lost_or_lied(shaky: Store, proxy: FaultProxy) -> None:
    proxy.judge = first(1, WRONG_TAG, "PUT")
    one = shaky.put_bytes("LATEST", b"1", over=NEW)
    lost = [True]

    def after_it_was_written(method: str, path: str) -> str | None:
        return CUT if method == "PUT" and lost and lost.pop() else None

    proxy.judge = after_it_was_written
    two = shaky.put_bytes("LATEST", b"2", over=one.tag)
    assert shaky.read("LATEST")[0] == b"2"
    with pytest.raises(StoreConflictError):
        shaky.put_bytes("LATEST", b"3", over=one.tag)
    shaky.put_bytes("LATEST", b"3", over=two.tag)


def test_download_that_is_cut_goes_on_where_it_was(shaky: Store, proxy: FaultProxy, tmp_path: Path) -> None:
    path, sha256 = large(tmp_path)
    shaky.put("file", path, sha256)
    proxy.asked.clear()
    proxy.judge = first(3, CUT, "GET")
    steps: list[int] = []
    shaky.fetch("file", tmp_path / "back", sha256, steps.append)
    assert (tmp_path / "back").read_bytes() == path.read_bytes()
    assert sum(steps) == LARGE
    assert sum(line.startswith("GET") for line in proxy.asked) == 4
    assert sorted(each.name for each in tmp_path.iterdir()) == ["back", "large"]


def test_download_goes_on_in_another_process_and_leftovers_of_another_file_do_no_harm(
    shaky: Store, proxy: FaultProxy, tmp_path: Path
) -> None:
    path, sha256 = large(tmp_path)
    shaky.put("file", path, sha256)
    left = tmp_path / f".back.{sha256[:16]}.part"
    left.write_bytes(path.read_bytes()[:PART_BYTES])
    steps: list[int] = []
    shaky.fetch("file", tmp_path / "back", sha256, steps.append)
    assert (steps[0], sum(steps)) == (PART_BYTES, LARGE)
    left.write_bytes(b"not of this file")
    shaky.fetch("file", tmp_path / "again", sha256)
    left.rename(tmp_path / f".third.{sha256[:16]}.part")
    shaky.fetch("file", tmp_path / "third", sha256)
    assert (tmp_path / "third").read_bytes() == path.read_bytes()


def test_upload_that_broke_off_sends_only_the_parts_that_are_missing(
    shaky: Store, proxy: FaultProxy, tmp_path: Path
) -> None:
    path, sha256 = large(tmp_path)
    proxy.judge = first(9, BUSY, "partNumber=3")
    with pytest.raises(StoreUnavailableError):
        shaky.put("file", path, sha256)
    assert shaky.head("file") is None
    assert set(parts_sent(proxy)) == {"1", "2", "3"}
    proxy.judge = lambda method, path: None
    proxy.asked.clear()
    assert shaky.put("file", path, sha256).size == LARGE
    assert parts_sent(proxy) == ["3"]
    shaky.fetch("file", tmp_path / "back", sha256)


def test_unfinished_upload_of_another_content_is_not_mixed_in(shaky: Store, proxy: FaultProxy, tmp_path: Path) -> None:
    path, sha256 = large(tmp_path)
    proxy.judge = first(9, BUSY, "partNumber=3")
    with pytest.raises(StoreUnavailableError):
        shaky.put("file", path, sha256)
    proxy.judge = lambda method, path: None
    other = path.read_bytes()[:-1] + b"x"
    path.write_bytes(other)
    stored = shaky.put("file", path, hashlib.sha256(other).hexdigest())
    assert stored.sha256 == hashlib.sha256(other).hexdigest()
    shaky.fetch("file", tmp_path / "back", stored.sha256)


def test_role_that_may_list_one_prefix_is_told_what_is_not_there(shaky: Store, proxy: FaultProxy) -> None:
    """S3 answers 403 for 404 then."""
    shaky.put_bytes("there", b"1")
    proxy.judge = lambda method, path: DENIED if method in ("GET", "HEAD") and "list-type" not in path else None
    assert shaky.head("missing") is None
    with pytest.raises(NotStoredError):
        shaky.read("missing")
    for ask in (shaky.head, shaky.read):
        with pytest.raises(StoreError, match="do the credentials allow it") as refused:
            ask("there")
        assert not isinstance(refused.value, NotStoredError)


def test_store_that_is_not_there_is_told_as_one_to_try_again(credentials: None, tmp_path: Path) -> None:
    path, sha256 = small(tmp_path)
    store = open_store(Address("bucket"), "http://127.0.0.1:9")
    with pytest.raises(StoreUnavailableError, match="s3://bucket/file"):
        store.put("file", path, sha256)


def test_bucket_that_is_not_there_and_missing_credentials_are_told(
    aws: str, credentials: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StoreError, match="no-such-bucket") as refused:
        open_store(Address("no-such-bucket"), aws).put_bytes("file", b"")
    assert not isinstance(refused.value, StoreUnavailableError)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(StoreError, match="there are no credentials"):
        open_store(Address("bucket"), aws).head("file")
