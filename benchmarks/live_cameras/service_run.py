"""One row: the real service with its cameras, from the start of its process to the end of the measured time."""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.live_cameras import family, figures
from benchmarks.live_cameras.isa import limited
from benchmarks.live_cameras.rows import AUTO, Row
from benchmarks.live_cameras.straight_line import StraightLine
from benchmarks.live_cameras.videos import SAMPLE_NAME, file_url
from tests.support.rtsp import RtspServer
from tests.support.service import Service, Subscriber

MEMORY_EVERY_S = 5  # reading it costs milliseconds of every process


@dataclass(frozen=True)
class Timing:
    """Seconds. Measuring begins ``warm_up_s`` after the first label, or ``patience_s`` after ready where none comes."""

    seconds: int = 60
    warm_up_s: float = 20.0
    patience_s: float = 60.0
    ready_s: float = 300.0


@dataclass
class Observed:
    """What was seen of a run; times in seconds from the start of the service's process."""

    ready_s: float | None = None
    first_label_s: float | None = None
    seconds: float = 0.0
    cpu_s: float = 0.0
    streams: dict[str, list[figures.Message]] = field(default_factory=dict)
    label_age_ms: list[float] = field(default_factory=list)
    pss_mb: list[int] = field(default_factory=list)
    strides: list[float] = field(default_factory=list)
    before: figures.Metrics = field(default_factory=lambda: figures.Metrics(0.0, {}))
    after: figures.Metrics = field(default_factory=lambda: figures.Metrics(0.0, {}))


def observe(row: Row, video: Path, timing: Timing, folder: Path, cache: Path) -> Observed:
    """Raises AssertionError (with the service's log) where it does not start, httpx.HTTPError where it went away."""
    cores = sorted(os.sched_getaffinity(0))[: row.cores]
    service = Service(folder, folder / "cold" if row.cold else cache)
    service.environment.update(limited(row.isa))
    with camera(row, video) as url, family.busy(row.load, cores), contextlib.closing(service.client):
        begin = time.monotonic()
        try:
            with family.started_on(cores):
                service.start(ready=False)
            extra = {} if row.tier == AUTO else {"tier": row.tier}
            ids = [service.add_stream(url, **extra)["id"] for _ in range(row.cameras)]
            with service.subscribe() as heard:
                return _watch(service, heard, ids, timing, begin)
        finally:
            end(service)


def prepare(folder: Path, cache: Path) -> None:
    """Converts and measures what the first start converts and measures, so that no row pays for it."""
    service = Service(folder, cache)
    with contextlib.closing(service.client):
        try:
            service.start()
        finally:
            end(service)


@contextlib.contextmanager
def camera(row: Row, video: Path) -> Iterator[str]:
    """→ the address of the camera, which runs where the service leaves a core free, if it leaves one."""
    played = file_url(row.video)
    if played is not None:
        yield played
        return
    everywhere = sorted(os.sched_getaffinity(0))
    with contextlib.ExitStack() as stack:
        with family.started_on(everywhere[row.cores :] or everywhere):
            server = stack.enter_context(RtspServer(video))
        yield server.url()


def end(service: Service) -> None:
    """A service that does not end in time is killed: its figures are taken already."""
    children = family.family(service.pid)
    with contextlib.suppress(AssertionError):
        service.stop(30)
    for process in children:
        with contextlib.suppress(psutil.Error):
            process.kill()


def _watch(service: Service, heard: Subscriber, ids: Sequence[str], timing: Timing, begin: float) -> Observed:
    seen = Observed()
    _warm_up(service, heard, seen, timing, begin)
    seen.before, used = figures.metrics(service.client.get("/metrics").text), family.cpu_s(service.pid)
    mark = time.monotonic()
    for second in range(timing.seconds):
        _sample(service, ids, seen, memory=second % MEMORY_EVERY_S == 0)
        time.sleep(max(0.0, mark + second + 1 - time.monotonic()))
    end = time.monotonic()
    seen.after = figures.metrics(service.client.get("/metrics").text)
    seen.cpu_s = family.used_between(used, family.cpu_s(service.pid))
    seen.seconds = end - mark
    told = [m for at, m in list(heard.messages) if mark <= at <= end and m["type"] == "tracks"]
    seen.streams = {stream: [m for m in told if m["stream_id"] == stream] for stream in ids}
    return seen


def _warm_up(service: Service, heard: Subscriber, seen: Observed, timing: Timing, begin: float) -> None:
    """Until the service is ready and warm and has shown a label, or nobody wants to wait for one any longer."""
    while not _warm(seen, timing, time.monotonic() - begin):
        if seen.ready_s is None and _ready(service):
            seen.ready_s = time.monotonic() - begin
        if seen.first_label_s is None:
            seen.first_label_s = _first_label_s(heard, begin)
        time.sleep(0.1)


def _warm(seen: Observed, timing: Timing, now_s: float) -> bool:
    """Raises TimeoutError where the service does not get ready."""
    if seen.ready_s is None:
        if now_s >= timing.ready_s:
            raise TimeoutError(f"the service is not ready after {timing.ready_s:g} s")
        return False
    if seen.first_label_s is None:
        return now_s >= seen.ready_s + timing.patience_s
    return now_s >= max(seen.ready_s, seen.first_label_s) + timing.warm_up_s


def _ready(service: Service) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return service.client.get("/readyz").status_code == 200
    return False


def _first_label_s(heard: Subscriber, begin: float) -> float | None:
    labelled = (
        at - begin
        for at, message in list(heard.messages)
        if message["type"] == "tracks" and any(track.get("action") for track in message["tracks"])
    )
    return next(labelled, None)


def _sample(service: Service, ids: Sequence[str], seen: Observed, memory: bool) -> None:
    streams = [service.stream(stream_id) for stream_id in ids]
    seen.label_age_ms += [s["label_age_ms"] for s in streams if s["label_age_ms"] is not None]
    seen.strides += [s["detection_stride"] for s in streams]
    if memory:
        seen.pss_mb.append(family.pss_mb(service.pid))


def columns(row: Row, seen: Observed, line: StraightLine) -> dict[str, Any]:
    """→ the row's figures, ready for JSON; None where there was nothing to measure."""
    told = list(seen.streams.values())
    waits = figures.grown(seen.before, seen.after)
    own = sum(map(figures.own_share, told), figures.Share(0, 0, 0))
    people = sum((figures.share(messages, line) for messages in told), figures.Share(0, 0, 0))
    given, expected = sum(map(figures.ids, told)), row.cameras * line.ids(seen.seconds)
    return {
        "seconds": round(seen.seconds),
        "people": _rounded(line.people, 1),
        "labelled": _rounded(people.of_labelled),
        "found": _rounded(people.of_found),
        "labelled_own": _rounded(own.of_labelled),
        "boxes": people.boxes,
        "label_age_s_p50": _seconds(figures.percentile(seen.label_age_ms, 50)),
        "label_age_s_p95": _seconds(figures.percentile(seen.label_age_ms, 95)),
        "ids": given,
        "ids_straight_line": expected,
        "ids_ratio": _rounded(given / expected if expected else None),
        "told_a_second": _rounded(sum(map(len, told)) / seen.seconds / row.cameras, 1),
        "detections_a_second": _rounded(figures.count(waits) / seen.seconds / row.cameras, 1),
        "detect_wait_ms_p50": _milliseconds(figures.quantile(waits, 0.5)),
        "detect_wait_ms_p95": _milliseconds(figures.quantile(waits, 0.95)),
        "stride": _rounded(statistics.mean(seen.strides), 1) if seen.strides else None,
        "tiers": figures.tiers([message for messages in told for message in messages]),
        "clips_a_second": _rounded((seen.after.clips - seen.before.clips) / seen.seconds),
        "cpu_s_a_second": _rounded(seen.cpu_s / seen.seconds),
        "pss_mb": max(seen.pss_mb, default=None),
        "ready_s": _rounded(seen.ready_s, 1),
        "first_label_s": _rounded(seen.first_label_s, 1),
    }


def _rounded(value: float | None, digits: int = 2) -> float | None:
    return None if value is None else round(value, digits)


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds / 1000, 1)


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(1000 * seconds)


def loop_breaks(row: Row) -> bool:
    """Whether a loop of the video is a break for the tracker: a file played again says so, a camera does not."""
    return row.video == SAMPLE_NAME
