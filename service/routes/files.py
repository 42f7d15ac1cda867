"""A file as an answer: validators, conditional requests and one byte range (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from fastapi import Request, Response
from fastapi.responses import FileResponse
from starlette.datastructures import Headers
from starlette.staticfiles import NotModifiedResponse

from service.errors_base import NotFound, RangeBeyondFile

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
    answer = FileResponse(
        path,
        headers=headers,
        media_type=media_type,
        filename=filename,
        stat_result=status,
        content_disposition_type="inline",
    )
    if _has_it(request.headers, answer.headers):
        return NotModifiedResponse(answer.headers)
    if not _range_counts(request.headers, answer.headers, status.st_size):
        request.scope["headers"] = [pair for pair in request.scope["headers"] if pair[0] != b"range"]
    return answer


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
