"""A large file in parts, which goes on where an interrupted upload stopped: the service knows the parts it has."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from models.errors import StoreDamagedError
from models.store.protocol import Step

PART_BYTES = 8 << 20
_MOST_PARTS = 9000  # S3 takes 10,000
_MIB = 1 << 20


def upload_in_parts(
    client: Any, at: Mapping[str, str], source: Path, sha256: str, step: Step, *, resume: bool = True
) -> str:
    """→ the tag. ``at``: Bucket and Key. Parts that are there with the same content are not sent again.

    What an interruption leaves stays for the next try; a lifecycle rule of the bucket ends what nobody goes on with.
    """
    upload = (_unfinished(client, at) if resume else None) or _begun(client, at, sha256)
    there = _parts(client, at, upload) if resume else {}
    parts, whole = [], hashlib.sha256()
    for number, block in enumerate(_blocks(source), 1):
        whole.update(block)
        md5 = hashlib.md5(block, usedforsecurity=False)
        tag = there.get((number, len(block), md5.hexdigest()))
        if tag is None:
            body = {"Body": block, "ContentMD5": base64.b64encode(md5.digest()).decode()}
            tag = client.upload_part(**at, UploadId=upload, PartNumber=number, **body)["ETag"]
        parts.append({"PartNumber": number, "ETag": tag})
        step(len(block))
    if whole.hexdigest() != sha256:
        raise StoreDamagedError(f"{source} has changed: it is not what its sha256 says")
    done = client.complete_multipart_upload(**at, UploadId=upload, MultipartUpload={"Parts": parts})
    return str(done["ETag"])


def _blocks(source: Path) -> Iterator[bytes]:
    size = source.stat().st_size
    length = max(PART_BYTES, -(-size // _MOST_PARTS // _MIB) * _MIB)
    with source.open("rb") as file:
        while block := file.read(length):
            yield block


def _begun(client: Any, at: Mapping[str, str], sha256: str) -> str:
    return str(client.create_multipart_upload(**at, Metadata={"sha256": sha256})["UploadId"])


def _unfinished(client: Any, at: Mapping[str, str]) -> str | None:
    """→ the newest upload of this key that nobody ended."""
    try:
        found = client.list_multipart_uploads(Bucket=at["Bucket"], Prefix=at["Key"])
    except ClientError:  # a role that may write only, or a service that does not tell
        return None
    ours = [item for item in found.get("Uploads", ()) if item["Key"] == at["Key"]]
    return str(max(ours, key=lambda item: item["Initiated"])["UploadId"]) if ours else None


def _parts(client: Any, at: Mapping[str, str], upload: str) -> dict[tuple[int, int, str], str]:
    """→ the tag of each part by number, bytes and MD5, as far as tags are MD5."""
    pages = client.get_paginator("list_parts").paginate(**at, UploadId=upload)
    parts = [part for page in pages for part in page.get("Parts", ())]
    return {(part["PartNumber"], part["Size"], part["ETag"].strip('"')): part["ETag"] for part in parts}
