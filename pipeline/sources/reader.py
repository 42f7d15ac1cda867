"""Opens whatever a URL leads to, and what can be asked of it then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Protocol
from urllib.parse import urlsplit

from pipeline.errors import SourceError
from pipeline.sources import words
from pipeline.sources.decoder import OpenVideo
from pipeline.sources.http_answer import HttpAnswer, why_no_video
from pipeline.sources.jpeg_camera import JpegCamera
from pipeline.sources.options import SourceOptions
from pipeline.sources.picture import Picture
from pipeline.sources.url import FILE_SUFFIXES, HLS_SUFFIXES, SourceUrl

_VIDEO_SUFFIXES = frozenset({*HLS_SUFFIXES, *FILE_SUFFIXES, ".ts", ".m2ts", ".mts", ".flv"})


class Reader(Protocol):
    """One open source. ``pictures`` and ``close`` are for the thread that opened it; the rest may be read anywhere."""

    @property
    def live(self) -> bool:
        """Whether the end of the data is a failure."""

    @property
    def pushed(self) -> bool:
        """Whether it comes as it happens. What is fetched in pieces comes in bursts, late by whole pieces."""

    @property
    def period_s(self) -> float:
        """Seconds a picture, as declared."""

    @property
    def duration_s(self) -> float | None: ...

    @property
    def frame_count(self) -> int | None: ...

    @property
    def packet_s(self) -> float:
        """Monotonic time at which something came last."""

    @property
    def quiet_s(self) -> float:
        """How long it may be silent by its nature."""

    @property
    def corrupt(self) -> int:
        """Packets and pictures that were thrown away as damaged."""

    def pictures(self) -> Iterator[Picture]:
        """Raises SourceError."""

    def close(self) -> None: ...


def open_reader(url: SourceUrl, options: SourceOptions, unwanted: Callable[[], bool]) -> Reader:
    """``unwanted`` is asked again and again, and ends the waiting and the reading. Raises SourceError."""
    video = None if _may_be_jpeg(url) else _try_video(url, options, unwanted)
    if isinstance(video, SourceError) and not _tells_little(video, url):
        raise video
    if isinstance(video, OpenVideo):
        return video
    answer = HttpAnswer(url, options)
    try:
        if answer.sends_jpeg(unwanted):
            return JpegCamera(url, options, answer, unwanted)
    except BaseException:
        answer.close()
        raise
    answer.close()
    if unwanted():
        raise words.ended(url)
    video = video or _try_video(url, options, unwanted)
    if isinstance(video, SourceError):
        raise why_no_video(url, answer.head, video)
    return video


def _may_be_jpeg(url: SourceUrl) -> bool:
    """Only then is a look at the first bytes worth a request of its own: many cameras serve one client at a time."""
    suffix = PurePosixPath(urlsplit(url.reveal()).path).suffix.lower()
    return url.over_http and suffix not in _VIDEO_SUFFIXES


def _try_video(url: SourceUrl, options: SourceOptions, unwanted: Callable[[], bool]) -> OpenVideo | SourceError:
    try:
        return OpenVideo(url, options, unwanted)
    except SourceError as error:
        return error


def _tells_little(problem: SourceError, url: SourceUrl) -> bool:
    """Whether a look at what the server sends can say more than FFmpeg does."""
    return url.over_http and problem.code in ("unreadable", "not_allowed")
