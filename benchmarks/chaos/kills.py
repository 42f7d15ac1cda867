"""T1: kill -9 of processes chosen at random, again and again, while cameras are recorded.

A finished recording is never lost, an unfinished one loses at most 2 s, and files and rows stay one to one. The loss is
measured from outside: from the newest frame that the websocket told of before the kill to the end of what can be played
after it, so whatever waited for the encoder counts as lost too.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from benchmarks.chaos.figures import Figures, Keep
from benchmarks.chaos.kept import kept
from benchmarks.chaos.scene import API, STREAM, LastSeen, Shown, end, recordings, role, seconds, wait_running
from benchmarks.live_cameras.family import family
from tests.support.service import Service

LOSS_S = 2.0
PAUSE_S = (0.5, 6.0)  # between everything running again and the next kill
INDEXED_S = 20.0


@dataclass
class Tally:
    """What the kills so far did."""

    kills: Counter[str] = field(default_factory=Counter)
    losses_s: list[float] = field(default_factory=list)
    back_s: dict[str, float] = field(default_factory=dict)  # the longest until all ran again, by who was killed
    failures: list[str] = field(default_factory=list)

    def figures(self) -> Figures:
        return {
            "kills": sum(self.kills.values()),
            "killed": dict(self.kills),
            "losses": len(self.losses_s),
            "largest_loss_s": round(max(self.losses_s, default=0.0), 2),
            "longest_until_all_streams_run_s": {name: round(value, 1) for name, value in self.back_s.items()},
            "failures": self.failures,
        }


def kill_at_random(service: Service, ids: Sequence[str], kills: int, seed: int, keep: Keep) -> Figures:
    """``service`` runs and records the streams ``ids``; it is ended here. Raises AssertionError where it stays away."""
    chance, tally, finished = random.Random(seed), Tally(), set[Path]()
    with LastSeen(service) as seen:
        for number in range(1, kills + 1):
            wait_running(service, ids)
            time.sleep(chance.uniform(*PAUSE_S))
            finished |= set(files(service))
            tally.failures += _kill_one(service, ids, seen, chance, tally)
            lost = [path.name for path in finished if not path.exists()]
            tally.failures += [f"kill {number}: finished recording {name} is gone" for name in lost]
            keep(tally.figures())
            print(f"T1 {number}/{kills}: {tally.figures()}", flush=True)
        wait_running(service, ids)
    return _judged(service, tally, keep)


def files(service: Service) -> Iterator[Path]:
    return (service.folder / "data" / "recordings").glob("*/*.mp4")


def _kill_one(service: Service, ids: Sequence[str], seen: LastSeen, chance: random.Random, tally: Tally) -> list[str]:
    """One kill, and all that has to be well after it. → what is not."""
    rows = {item["id"] for item in recordings(service)}
    victim = chance.choice(family(service.pid))
    who, stream_id = role(service, victim), _stream_of(service, victim, ids)
    shown, moment = dict(seen.streams), time.time()
    victim.kill()
    tally.kills[who] += 1
    if who == API:
        service.kill()  # it is dead: this reaps it
        service.start(ready=False)
    seen.wait_after(moment + 0.5, ids)
    wait_running(service, ids)
    tally.back_s[who] = max(tally.back_s.get(who, 0.0), time.time() - moment)
    gone = rows - {item["id"] for item in recordings(service)}
    problems = [f"row {one} is gone after a kill of the {who}" for one in gone]
    hit = ids if who == API else [stream_id] if stream_id else []
    for one in hit:
        problems += _loss(service, one, shown[one], tally)
    return problems


def _stream_of(service: Service, victim: psutil.Process, ids: Sequence[str]) -> str | None:
    """Which stream a process works for: the lock of its recordings, which it holds from the first one on, tells."""
    if role(service, victim) != STREAM:
        return None
    opened = [file.path for file in victim.open_files()]
    return next((one for one in ids if any(one in path for path in opened)), None)


def _loss(service: Service, stream_id: str, shown: Shown, tally: Tally) -> list[str]:
    """Waits until what was recorded before the kill is indexed, and measures what is missing at its end."""
    deadline = time.monotonic() + INDEXED_S
    while (missing_s := _missing_s(service, stream_id, shown)) > LOSS_S and time.monotonic() < deadline:
        time.sleep(0.2)
    tally.losses_s.append(missing_s)
    return [] if missing_s <= LOSS_S else [f"stream {stream_id} lost {missing_s:.2f} s of {shown}"]


def _missing_s(service: Service, stream_id: str, shown: Shown) -> float:
    """In media time: a file that a busy machine plays too slowly is captured later than its pictures say."""
    own = [item for item in recordings(service) if item["stream_id"] == stream_id]
    ends: list[float] = [
        item["start_s"] + item["duration_s"]
        for item in own
        if shown.before < seconds(item["started_at"]) <= shown.captured_at
    ]
    return max(0.0, shown.newest_s - max([shown.first_s, *ends]))


def _judged(service: Service, tally: Tally, keep: Keep) -> Figures:
    end(service)
    left = kept(service.folder / "data")
    figures = tally.figures()
    figures.update(asdict(left), failures=[*tally.failures, *left.failures()], complete=True)
    keep(figures)
    return figures
