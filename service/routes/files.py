"""A file as an answer: validators, conditional requests and one byte range (RFC 9110, sections 13 and 14).

Where it lies, on this disk or in the bucket, makes no difference to whoever asks: tag and date are those of the file
that was sent there, and what is read from the bucket goes through here, never by a redirect.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from fastapi import Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from starlette.datastructures import Headers
from starlette.staticfiles import NotModifiedResponse

from service.bucket.bucket import Bucket
from service.errors_base import NotFound, RangeBeyondFile
from service.storage.objects import ObjectRecord

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


def file_answer(
    request: Request, path: Path, media_type: str, filename: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """→ 304 for a client that has this very file, else the file or the range asked for; without a body for HEAD.

    Raises NotFound and RangeBeyondFile.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        raise NotFound("the file is gone") from None
    answer = _answer(path, status, media_type, filename, headers)
    if _has_it(request.headers, answer.headers):
        return NotModifiedResponse(answer.headers)
    if not _range_counts(request.headers, answer.headers, status.st_size):
        request.scope["headers"] = [pair for pair in request.scope["headers"] if pair[0] != b"range"]
    return answer


async def kept_answer(
    request: Request,
    bucket: Bucket | None,
    path: Path,
    media_type: str,
    filename: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """→ the same, of a file that may be in the bucket alone. Raises Unavailable, too, where that does not answer."""
    if bucket is None or await asyncio.to_thread(path.is_file):
        return file_answer(request, path, media_type, filename, headers)
    record = await bucket.find(path)
    answer = _answer(path, _status_of(record), media_type, filename, headers)
    if _has_it(request.headers, answer.headers):
        return NotModifiedResponse(answer.headers)
    status, first, last = 200, 0, record.bytes - 1
    if _range_counts(request.headers, answer.headers, record.bytes):
        first, last = _range(request.headers["range"], record.bytes)
        status, answer.headers["content-range"] = 206, f"bytes {first}-{last}/{record.bytes}"
    answer.headers["content-length"] = str(last - first + 1)
    if request.method == "HEAD":
        return Response(None, status, answer.headers)
    blocks = bucket.blocks(record, first, last)
    return StreamingResponse(await begun(blocks), status, answer.headers)


async def begun(blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """→ the same, of which the first block is there: what fails at once is an answer of its own."""
    first = await anext(blocks, b"")

    async def whole() -> AsyncIterator[bytes]:
        yield first
        async for block in blocks:
            yield block

    return whole()


def _answer(
    path: Path, status: os.stat_result, media_type: str, filename: str | None, headers: Mapping[str, str] | None
) -> FileResponse:
    return FileResponse(
        path,
        headers=headers,
        media_type=media_type,
        filename=filename,
        stat_result=status,
        content_disposition_type="inline",
    )


def _status_of(record: ObjectRecord) -> os.stat_result:
    """→ what the local copy's would be, of which tag and date are made."""
    whole_s = int(record.mtime)
    return os.stat_result((0, 0, 0, 1, 0, 0, record.bytes, whole_s, whole_s, whole_s, *[record.mtime] * 3))


def _range(header: str, size: int) -> tuple[int, int]:
    """→ the first and the last byte of a range that counts."""
    match = _RANGE.fullmatch(header.strip())
    first, last = match.groups() if match else ("", "")
    if not first:
        return max(0, size - int(last)), size - 1
    return int(first), min(int(last or size), size - 1)


def _has_it(asked: Headers, file: Headers) -> bool:
    """The date counts only where no tag is given."""
    if (tags := ",".join(asked.getlist("if-none-match"))) != "":
        given = {tag.strip().removeprefix("W/") for tag in tags.split(",")}
        return bool(given & {"*", file["etag"]})
    known, changed = _date(asked.get("if-modified-since")), _date(file["last-modified"])
    return known is not None and changed is not None and changed <= known


def _date(text: str | None) -> datetime | None:
    """→ None for what is no date of HTTP; it is passed over."""
    try:
        date = parsedate_to_datetime(text or "")
    except (ValueError, TypeError, OverflowError):
        return None
    return date if date.tzinfo is not None else None


def _range_counts(asked: Headers, file: Headers, size: int) -> bool:
    """False where the whole file is the answer. Raises RangeBeyondFile."""
    header = asked.get("range")
    if header is None or asked.get("if-range", file["etag"]) not in (file["etag"], file["last-modified"]):
        return False  # the client's part is of another file
    match = _RANGE.fullmatch(header.strip())
    first, last = match.groups() if match else ("", "")
    if not (first or last) or (first and last and int(last) < int(first)):
        return False  # several ranges at once, other units, nonsense
    if (first and int(first) >= size) or (not first and int(last) == 0):
        raise RangeBeyondFile(size)
    return True
