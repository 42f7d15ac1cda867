"""T8: the disk under the data folder fills up while a camera is recorded, and has room again later.

Recording stops and says so; labels go on all the while, and every numbered message comes, also to a client that asks
for it afterwards; recording resumes by itself. On a real file system without room: a small tmpfs, which takes the
right to mount one.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from itertools import pairwise
from typing import Any

from benchmarks.chaos.figures import Figures, Keep
from benchmarks.chaos.kept import kept
from benchmarks.chaos.scene import end, recordings
from tests.support.service import Service, Subscriber, wait_for
from tests.support.small_disk import fill

DISK_KB = 48 << 10
MIN_FREE_MB = 8
SAID_S, RESUMED_S = 30.0, 30.0
SILENCE_S = 3.0  # without a tracks message for longer, labels did not go on
FIRST_LABEL_S = 240.0
FINISHED_S = 60.0  # a segment lasts seconds


def fill_and_free(service: Service, url: str, full_s: float, keep: Keep) -> Figures:
    """``service`` runs on a small disk and is ended here. Fills twice: to its last byte, and to the limit that
    recordings leave. Raises AssertionError where nothing is ever labelled."""
    figures = Figures(failures=[], complete=False)
    before: set[str] = set()  # finished before a time without room
    with service.subscribe() as heard:
        stream_id = service.add_stream(url, record=True)["id"]
        heard.wait("tracks", FIRST_LABEL_S, labelled, stream_id=stream_id)
        for name, leave_kilobytes in (("to_the_last_byte", 0), ("to_the_limit", (MIN_FREE_MB // 2) << 10)):
            wait_recording(service, stream_id, "on", RESUMED_S)
            before |= one_more_finished(service, before)
            part = Full(service, heard, stream_id, name, figures["failures"])
            ballast = fill(service.folder / "data", leave_kilobytes)
            figures[name] = part.watch(full_s)
            ballast.unlink()
            figures[name]["resumed_s"] = part.resumed_s()
            keep(figures)
            print(f"T8 {name}: {figures[name]}", flush=True)
        figures["failures"] += numbers_missing(service, heard)
    lost = before - {recording["id"] for recording in recordings(service)}
    figures["failures"] += [f"{len(lost)} of {len(before)} recordings finished before are gone"] if lost else []
    end(service)
    left = kept(service.folder / "data")
    figures.update(asdict(left), complete=True)
    figures["failures"] += left.failures()
    keep(figures)
    return figures


def one_more_finished(service: Service, before: set[str]) -> set[str]:
    """→ all recordings, once there is one that was not there ``before``."""

    def finished() -> set[str]:
        ids = {str(recording["id"]) for recording in recordings(service)}
        return ids if ids - before else set()

    ids: set[str] = wait_for(finished, FINISHED_S, "a recording is finished")
    return ids


def labelled(message: dict[str, Any]) -> bool:
    return any(track["action"] for track in message["tracks"])


def wait_recording(service: Service, stream_id: str, state: str, timeout_s: float) -> None:
    wait_for(lambda: service.stream(stream_id)["recording"] == state, timeout_s, f"recording is {state}")


class Full:
    """One time without room. Failures go to the list that is given."""

    def __init__(self, service: Service, heard: Subscriber, stream_id: str, name: str, failures: list[str]) -> None:
        self._service, self._heard, self._stream_id = service, heard, stream_id
        self._name, self._failures = name, failures
        self._since = time.monotonic()

    def watch(self, full_s: float) -> Figures:
        """What is said and what goes on, for ``full_s`` and as long as it takes to say so."""
        said_s = self._wait_note(lambda message: message["code"] == "recording", SAID_S, "recording stops and says so")
        time.sleep(max(0.0, self._since + full_s - time.monotonic()))
        if self._service.stream(self._stream_id)["recording"] != "paused":
            self._fail("the API does not say that recording is paused")
        for path in ("/healthz", "/v1/streams", "/metrics", "/v1/recordings"):
            status = self._service.client.get(path).status_code
            if status != 200:
                self._fail(f"{path} answers {status}")
        return {"said_s": said_s, **self._labels()}

    def _labels(self) -> Figures:
        told = [(at, m) for at, m in list(self._heard.messages) if m["type"] == "tracks" and at >= self._since]
        moments = [self._since, *(at for at, _ in told), time.monotonic()]
        silence_s = max(later - earlier for earlier, later in pairwise(moments))
        if silence_s > SILENCE_S:
            self._fail(f"no tracks for {silence_s:.1f} s")
        with_label = sum(labelled(message) for _, message in told)
        if not with_label:
            self._fail("no label while the disk was full")
        return {"tracks_messages": len(told), "with_label": with_label, "longest_silence_s": round(silence_s, 2)}

    def resumed_s(self) -> float | None:
        """→ seconds from now until recording goes on and says so."""
        self._since = time.monotonic()
        seconds = self._wait_note(
            lambda message: "recording goes on" in message["reason"], RESUMED_S, "recording resumes"
        )
        if self._service.stream(self._stream_id)["recording"] != "on":
            self._fail("the API does not say that recording is on again")
        return seconds

    def _wait_note(self, check: Any, timeout_s: float, what: str) -> float | None:
        def heard() -> float | None:
            notes = [
                at for at, m in list(self._heard.messages) if m["type"] == "stream" and at >= self._since and check(m)
            ]
            return notes[0] - self._since if notes else None

        try:
            seconds: float = wait_for(heard, timeout_s, what)
            return round(seconds, 1)
        except AssertionError as error:
            self._fail(str(error))
            return None

    def _fail(self, why: str) -> None:
        self._failures.append(f"{self._name}: {why}")


def numbers_missing(service: Service, heard: Subscriber) -> list[str]:
    """Every numbered message came live, and comes again to one who asks."""
    live = [m["seq"] for _, m in list(heard.messages) if "seq" in m and m["type"] != "hello"]
    if not live:
        return ["no numbered message was heard"]
    problems = []
    if live != list(range(live[0], live[0] + len(live))):
        problems.append("messages are missing among those heard live")
    with service.subscribe(f"?since_seq={live[0] - 1}") as again:
        try:
            wait_for(lambda: set(live) <= {m.get("seq") for _, m in again.messages[1:]}, 15, "a replay of all")
        except AssertionError:
            problems.append("messages of the time without room are not replayed")
    return problems
