"""S3, and what is compatible with it, by boto3: the only module that imports it.

Every file carries its sha256 as the object's metadata, is looked at by HEAD once it is written, and is compared when it
is read. Checksums that compatible services do not know are left out (``when_required``), which boto3 would else send.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from models.errors import NotStoredError, StoreConflictError, StoreDamagedError, StoreError
from models.store.address import Address
from models.store.download import Download
from models.store.multipart import PART_BYTES, upload_in_parts
from models.store.protocol import MAX_READ_BYTES, NEW, Step, Stored, checked, nobody
from models.store.s3_words import DeniedError, in_words

WORKERS = 8  # files on their way at once
_BLOCK = 1 << 18
_CONFIG = Config(
    connect_timeout=3,
    read_timeout=10,
    retries={"mode": "standard", "total_max_attempts": 4},
    s3={"addressing_style": "path"},
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
    max_pool_connections=WORKERS + 2,
    user_agent_extra="actoscope",
)


class S3Store:
    """A ``Store``. Credentials and region come from where AWS's own tools take them; several threads may use it."""

    def __init__(self, address: Address, endpoint: str = "") -> None:
        self._address = address
        with in_words(str(address)):
            session = boto3.session.Session()
            region = session.region_name or "us-east-1"  # endpoints of others want some region in the signature
            self._client: Any = session.client("s3", endpoint_url=endpoint or None, region_name=region, config=_CONFIG)

    def put(self, key: str, source: Path, sha256: str, step: Step = nobody) -> Stored:
        size = source.stat().st_size
        for resume in (True, False):  # again where it is not there as it was sent
            if size > PART_BYTES:
                with in_words(self._name(key)):
                    tag = upload_in_parts(self._client, self._at(key), source, sha256, step, resume=resume)
            else:
                tag = self._put(key, _read(source, sha256), {"Metadata": {"sha256": sha256}})
                step(size)
            there = self.head(key)
            if there is not None and (there.size, there.sha256, there.tag) == (size, sha256, tag):
                return there
            step(-size)
        raise StoreError(f"{self._name(key)} is not as it was sent: expected {size} bytes, tag {tag}, got {there}")

    def put_bytes(self, key: str, content: bytes, over: str | None = None) -> Stored:
        condition = {} if over is None else {"IfNoneMatch": "*"} if over == NEW else {"IfMatch": over}
        sha256 = hashlib.sha256(content).hexdigest()
        refused: StoreError | None = None
        try:
            self._put(key, content, {"Metadata": {"sha256": sha256}, **condition})
        except (StoreConflictError, NotStoredError) as error:
            refused = error
        there = self.head(key)
        if there is None or there.sha256 != sha256:  # else it was we, even where the answer was lost
            raise StoreConflictError(f"{self._name(key)} is not what was to be replaced, or not any more") from refused
        return there

    def read(self, key: str, limit: int = MAX_READ_BYTES) -> tuple[bytes, Stored]:
        with self._knowing_what_is_there(key), in_words(self._name(key)):
            answer = self._client.get_object(**self._at(key))
            with closing(answer["Body"]) as body:
                content = body.read(limit + 1)
        if len(content) > limit:
            raise StoreError(f"{self._name(key)} has more than the {limit} bytes that were expected")
        stored = _stored(key, answer)
        if stored.sha256 and hashlib.sha256(content).hexdigest() != stored.sha256:
            raise StoreDamagedError(f"{self._name(key)} is damaged: its content is not what its sha256 says")
        return content, stored

    def fetch(self, key: str, target: Path, sha256: str, step: Step = nobody) -> None:
        Download(self, self._name(key), key, target, sha256).run(step)

    def stream(self, key: str, first: int, last: int, tag: str = "") -> Iterator[bytes]:
        condition = {"IfMatch": tag} if tag else {}
        with in_words(self._name(key)):
            answer = self._client.get_object(**self._at(key), Range=f"bytes={first}-{last}", **condition)
        if tag and answer["ETag"] != tag:  # not every service knows the condition
            answer["Body"].close()
            raise StoreConflictError(f"{self._name(key)} is not what was meant: somebody else wrote it")
        return self._blocks(key, answer)

    def head(self, key: str) -> Stored | None:
        try:
            with self._knowing_what_is_there(key), in_words(self._name(key)):
                return _stored(key, self._client.head_object(**self._at(key)))
        except NotStoredError:
            return None

    def list(self, prefix: str = "") -> Iterator[Stored]:
        top = self._key(checked(prefix)) + "/" if prefix else self._key("")
        with in_words(self._name(prefix)):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._address.bucket, Prefix=top):
                for item in page.get("Contents", ()):
                    yield Stored(item["Key"].removeprefix(self._key("")), item["Size"], item["ETag"])

    def delete(self, key: str) -> None:
        with in_words(self._name(key)):
            self._client.delete_object(**self._at(key))

    @contextmanager
    def _knowing_what_is_there(self, key: str) -> Iterator[None]:
        """A role that may list one prefix alone is told "forbidden" of what is not there: the list knows better."""
        try:
            yield
        except DeniedError as error:
            with in_words(self._name(key)):
                found = self._client.list_objects_v2(Bucket=self._address.bucket, Prefix=self._key(key), MaxKeys=1)
            if any(item["Key"] == self._key(key) for item in found.get("Contents", ())):
                raise
            raise NotStoredError(f"{self._name(key)} is not there") from error

    def _put(self, key: str, content: bytes, options: dict[str, Any]) -> str:
        """→ the tag. ``ContentMD5`` makes the service refuse what was damaged on its way."""
        md5 = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
        with in_words(self._name(key)):
            answer = self._client.put_object(**self._at(key), Body=content, ContentMD5=md5, **options)
        return str(answer["ETag"])

    def _blocks(self, key: str, answer: Any) -> Iterator[bytes]:
        """A service that knows no ranges sends the whole: that is refused rather than shown as another part."""
        with closing(answer["Body"]) as body:
            if answer["ResponseMetadata"]["HTTPStatusCode"] != 206:
                raise StoreError(f"{self._name(key)}: the service answered a range with the whole file")
            with in_words(self._name(key)):
                yield from body.iter_chunks(_BLOCK)

    def _at(self, key: str) -> dict[str, str]:
        return {"Bucket": self._address.bucket, "Key": self._key(checked(key))}

    def _key(self, key: str) -> str:
        return f"{self._address.prefix}/{key}" if self._address.prefix else key

    def _name(self, key: str) -> str:
        return str(self._address.below(key))


def _read(source: Path, sha256: str) -> bytes:
    content = source.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise StoreDamagedError(f"{source} has changed: it is not what its sha256 says")
    return content


def _stored(key: str, answer: Any) -> Stored:
    return Stored(key, int(answer["ContentLength"]), str(answer["ETag"]), answer["Metadata"].get("sha256", ""))
