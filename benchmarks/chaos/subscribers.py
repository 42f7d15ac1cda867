"""T7: 200 websocket subscribers, of which 20 get stuck. The others must not notice."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from benchmarks.chaos.figures import Figures, Keep
from tests.support.places import REPOSITORY
from tests.support.service import Service, free_port, wait_for

SUBSCRIBERS, STUCK = 200, 20
LAG_MS, CUT_S = 250.0, 10.0
FLICKERING = 3


def get_stuck(service: Service, url: str, seconds: float, keep: Keep, lag_ms: float = LAG_MS) -> Figures:
    """``service`` runs; it may have other streams. ``url``: a camera whose people are told of ten times a second."""
    stream_id = service.add_stream(url)["id"]
    service.wait_state(stream_id, "running", 60)
    with flickering(service):
        seen = _crowd(service, seconds)
    figures: Figures = {name: value for name, value in seen.items() if name not in ("numbers", "cut_s", "stuck_heard")}
    cuts = seen["cut_s"]
    figures["healthy_closed"] = len(seen["healthy_closed"])
    figures["longest_until_cut_s"] = None if None in cuts else round(max(cuts), 1)
    figures["numbered_messages"] = max(map(len, seen["numbers"]))
    figures["left_after"] = _subscribers(service)
    figures["failures"] = [*_lags(seen, lag_ms), *_losses(seen), *_cuts(seen), *_gaps(service, seen)]
    figures["complete"] = True
    keep(figures)
    return figures


@contextlib.contextmanager
def flickering(service: Service) -> Iterator[None]:
    """Streams of ports where nobody answers: each try to connect again is a numbered message."""
    urls = [f"rtsp://127.0.0.1:{free_port()}/cam" for _ in range(FLICKERING)]
    ids = [service.add_stream(url)["id"] for url in urls]
    for stream_id in ids:
        service.wait_state(stream_id, "reconnecting", 60)
    try:
        yield
    finally:
        for stream_id in ids:
            service.client.delete(f"/v1/streams/{stream_id}")


def _crowd(service: Service, seconds: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.chaos.crowd", f"ws://127.0.0.1:{service.port}/v1/ws"]
    numbers = ["--healthy", str(SUBSCRIBERS - STUCK), "--stuck", str(STUCK), "--seconds", str(seconds)]
    done = subprocess.run(
        [*command, *numbers], cwd=REPOSITORY, capture_output=True, text=True, timeout=seconds + 120, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the subscribers ended with {done.returncode}: {done.stderr[-2000:]}")
    return dict(json.loads(done.stdout))


def _subscribers(service: Service) -> int:
    def gone() -> bool:
        return service.client.get("/metrics").text.count("actoscope_subscribers 0.0") == 1

    wait_for(gone, 15, "nobody is subscribed any more")
    return 0


def _lags(seen: dict[str, Any], allowed_ms: float) -> list[str]:
    lag = seen["lag_p99_ms"]
    if lag is None:
        return ["no tracks message was heard"]
    return [] if lag <= allowed_ms else [f"p99 lag {lag} ms"]


def _losses(seen: dict[str, Any]) -> list[str]:
    """Each healthy one heard every number from its first to its last, and all of them nearly the same."""
    problems = [f"a healthy subscriber was closed: {why}" for why in seen["healthy_closed"][:3]]
    newest = min(max(numbers, default=0) for numbers in seen["numbers"])
    oldest = max(min(numbers, default=0) for numbers in seen["numbers"])
    if newest <= oldest:
        problems.append(f"too few numbered messages to judge by: {oldest} to {newest}")
    for numbers in seen["numbers"]:
        if numbers and numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            problems.append(f"a healthy subscriber lost messages: {numbers[:20]}")
    return problems[:5]


def _cuts(seen: dict[str, Any]) -> list[str]:
    late = [cut for cut in seen["cut_s"] if cut is None or cut > CUT_S]
    return [f"{len(late)} stuck subscribers were not cut within {CUT_S:g} s: {late[:3]}"] if late else []


def _gaps(service: Service, seen: dict[str, Any]) -> list[str]:
    """One who was cut comes back with the last number it heard, and gets all that it missed, without a hole."""
    last = next((number for number in seen["stuck_heard"] if number is not None), None)
    newest = max(max(numbers, default=0) for numbers in seen["numbers"])
    if last is None or last >= newest:
        return ["no stuck subscriber heard a number before it stopped reading"]
    missed = set(range(last + 1, newest + 1))
    with service.subscribe(f"?since_seq={last}") as again:
        try:
            wait_for(lambda: missed <= {m.get("seq") for _, m in again.messages[1:]}, 15, "a replay")
        except AssertionError:
            return [f"messages {last + 1} to {newest} do not come again"]
    return []
