"""T5: malformed requests and corrupt media against the running service, beside a port that nothing may reach.

Every request is answered with a 4xx (or, where it is no HTTP, by closing the connection), every file ends its stream as
``failed``, a damaged one may also be played to its end; no process dies of it, and nobody knocks at the canary.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.chaos import corrupt_media
from benchmarks.chaos.figures import Figures, Keep
from benchmarks.chaos.malformed_requests import Call, calls, raw
from benchmarks.live_cameras.family import family
from tests.support.black_hole import BlackHole
from tests.support.http_camera import HttpCamera
from tests.support.service import SAMPLE_URL, Service, wait_for

AT_ONCE = 8
ENDS_S = 120.0
ANSWER_S = 10.0
IS_OVER = ("failed", "stopped")
# FFmpeg tells a redirect that it must not follow from a connection that broke off by nothing: it is tried again.
REFUSED_REDIRECT = ("failed", "reconnecting")
NETWORKED = ("playlist.mp4", "key.mp4", "nested.mkv", "endless.mp4", "manifest.mp4", "concat.mp4", "list.mkv")


def send_all(service: Service, damaged: int, seed: int, keep: Keep, destroyed: int | None = None) -> Figures:
    """``damaged``: how many files by chance; ``destroyed``: of those made by hand, so many; None: all."""
    figures = Figures(failures=[], complete=False)
    folder = service.folder / "hostile"
    folder.mkdir()
    with BlackHole() as canary, HttpCamera(folder) as server:
        before, said = {process.pid for process in family(service.pid)}, len(service.log())
        stream_id = service.add_stream(f"rtsp://127.0.0.1:{canary.port}/never", name="parked")["id"]
        service.client.patch(f"/v1/streams/{stream_id}", json={"enabled": False})
        knocked = canary.accepted  # the one address that was really asked for
        figures.update(_requests(service, stream_id, canary.port, figures["failures"]))
        keep(figures)
        urls = _destroyed_urls(folder, server, canary.port, destroyed)
        _media(service, urls, ("failed",), figures, keep)
        _media(service, _redirects(server, canary.port), REFUSED_REDIRECT, figures, keep)
        urls = (path.as_uri() for path in corrupt_media.damaged(folder, seed, damaged))
        _media(service, urls, IS_OVER, figures, keep)
        figures["canary_reached"] = canary.accepted - knocked
        if figures["canary_reached"]:
            figures["failures"].append(f"the canary port was reached {figures['canary_reached']} times")
    figures["failures"] += _survivors(service, before, said)
    figures["complete"] = True
    keep(figures)
    return figures


def _requests(service: Service, stream_id: str, canary: int, failures: list[str]) -> Figures:
    statuses: Counter[str] = Counter()
    everything = calls(stream_id, canary)
    for call in everything:
        status = _status(service, call)
        statuses[str(status)] += 1
        if not 400 <= status < 500:
            failures.append(f"{call.method} {call.path[:80]} {call.content[:80]!r} {call.headers}: answered {status}")
    for content in raw():
        answer = _answer(service.port, content)
        statuses["closed" if answer is None else str(answer)] += 1
        if answer is not None and not 400 <= answer < 500:
            failures.append(f"bytes {content[:60]!r}: answered {answer}")
    return {"requests": len(everything) + len(raw()), "answers": dict(sorted(statuses.items()))}


def _status(service: Service, call: Call) -> int:
    """The path goes out as it is: httpx would put it in order."""
    url = httpx.URL(service.url).copy_with(raw_path=call.path.encode())
    return service.client.request(call.method, url, content=call.content, headers=call.headers).status_code


def _answer(port: int, content: bytes) -> int | None:
    """→ the status that came back; None where the connection was closed without a word, -1 where nothing came."""
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_S) as peer:
        try:
            peer.sendall(content)
            peer.shutdown(socket.SHUT_WR)
            words = peer.recv(4096).split()
        except TimeoutError:
            return -1
        except OSError:
            return None
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else None


def _destroyed_urls(folder: Path, server: HttpCamera, canary: int, most: int | None) -> Iterator[str]:
    """By file, and those that name other places by HTTP as well."""
    for path in islice(corrupt_media.destroyed(folder, canary), most):
        yield path.as_uri()
        if path.name in NETWORKED:
            yield server.url(f"/{path.name}")


def _redirects(server: HttpCamera, canary: int) -> list[str]:
    """To the canary, by a second one to the canary, to a file."""
    there = f"http://127.0.0.1:{canary}/x.mp4"
    targets = (there, server.url("/redirect?" + there), "file:///etc/passwd")
    return [server.url(f"/redirect?{target}") for target in targets]


def _media(service: Service, urls: Iterable[str], may_be: Sequence[str], figures: Figures, keep: Keep) -> None:
    ends: Counter[str] = Counter(figures.get("ends", {}))
    waiting = iter(urls)
    while batch := [(service.add_stream(url)["id"], url) for url in islice(waiting, AT_ONCE)]:
        for stream_id, url in batch:
            end = _end_of(service, stream_id, may_be)
            ends[f"{end['state']}: {end['code']}"] += 1
            figures["failures"] += _wrong_end(end, url, may_be)
            service.client.delete(f"/v1/streams/{stream_id}")
        figures.update(media=ends.total(), ends=dict(sorted(ends.items())))
        keep(figures)
        print(f"T5 {ends.total()} media: {dict(ends)}", flush=True)


def _end_of(service: Service, stream_id: str, may_be: Sequence[str]) -> dict[str, Any]:
    """→ the stream once it is over, or as it is after ENDS_S."""
    deadline = time.monotonic() + ENDS_S
    while (stream := service.stream(stream_id))["state"] not in {*IS_OVER, *may_be} and time.monotonic() < deadline:
        time.sleep(0.1)
    return stream


def _wrong_end(end: dict[str, Any], url: str, may_be: Sequence[str]) -> list[str]:
    said = f"{url.rpartition('/')[2]}: {end['state']} {end['code']} {end['reason'][:150]}"
    if end["state"] not in may_be or end["code"] in ("crashed", "crash_loop"):
        return [said]
    return [f"{said}, after {end['restarts']} crashes"] if end["restarts"] else []


def _survivors(service: Service, before: set[int], said: int) -> list[str]:
    """The service and its inference live on as they were, and a good stream plays."""
    with contextlib.suppress(psutil.Error):
        gone = before - {process.pid for process in family(service.pid)}
        if gone:
            return [f"processes died: {gone}"]
    _, found, traceback = service.log()[said:].partition("Traceback")
    if found:
        return [f"the log has a traceback: {traceback[-800:]}"]
    stream_id = service.add_stream(SAMPLE_URL)["id"]
    try:
        wait_for(lambda: service.stream(stream_id)["state"] == "running", 60, "a good stream runs")
    except AssertionError as error:
        return [str(error)]
    service.client.delete(f"/v1/streams/{stream_id}")
    return []
