"""T6: a camera dies and comes back, again and again, beside one that stays; nothing may grow.

Every cycle is sampled at the same point, once the stream has run for a moment: memory, file handles, threads, zombies
and processes of the whole family. After the warm-up the memory's slope (least squares) has to stay under 1 MB in ten
minutes, and the counts may not rise (but for a thread, and one more in 40 reconnects). The service has one detector
size (``ONE_SIZE``) and both streams are pinned to one network: which of them are loaded follows the load of the machine
otherwise, which is no leak.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import psutil

from benchmarks.chaos.figures import Figures, Keep
from benchmarks.chaos.scene import STREAM, role
from benchmarks.live_cameras.family import family
from tests.support.rtsp import RtspServer
from tests.support.service import Service

SLOPE_MB = 1.0  # in ten minutes
WARM_UP = 0.25  # of the whole time, at most WARM_UP_S
WARM_UP_S = 300.0
JUDGED_S = 600.0  # a slope of less time says nothing
DOWN_S, UP_S = 0.5, 2.0
ONE_SIZE = {"detector_image_size": "320"}  # settings: nothing is below it, so nothing else is ever loaded
RECONNECTS_A_THREAD = 40  # beyond the first; a leak is one in each, pools fill as they are needed to their bound
SHORT_MB = 80.0  # what a soak that is too short for a slope may grow by: detector sizes that a busy machine asks for


@dataclass(frozen=True, slots=True)
class Sample:
    """The whole family at one moment; ``at_s`` since the start, memory in MB."""

    at_s: float
    rss_mb: float
    pss_mb: float
    handles: int
    threads: int
    zombies: int
    processes: int
    by_role_mb: dict[str, float]  # streams by the age of their process: the one that reconnects is the first


def sample(service: Service, at_s: float) -> Sample:
    rss = pss = handles = threads = zombies = 0
    parts: dict[str, float] = {}
    processes = family(service.pid)
    for process in sorted(processes, key=lambda one: one.pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() == psutil.STATUS_ZOMBIE:
                zombies += 1
                continue
            memory = process.memory_full_info()
            rss, pss = rss + memory.rss, pss + memory.pss
            handles, threads = handles + process.num_fds(), threads + process.num_threads()
            who = _named(role(service, process), parts)
            parts[who] = round(parts.get(who, 0.0) + memory.rss / 2**20, 1)
    return Sample(
        round(at_s, 1), round(rss / 2**20, 1), round(pss / 2**20, 1), handles, threads, zombies, len(processes), parts
    )


def _named(who: str, parts: dict[str, float]) -> str:
    """Two streams that grow differently must not hide in one sum."""
    return f"{who} {1 + sum(name.startswith(who) for name in parts)}" if who == STREAM else who


def soak(
    service: Service, camera: RtspServer, steady_url: str, minutes: float, keep: Keep, tier: str = "light"
) -> Figures:
    """``camera`` runs and is killed and started here. Raises AssertionError where its stream does not come back."""
    stream_id = service.add_stream(camera.url(), record=True, tier=tier)["id"]
    steady = service.add_stream(steady_url, tier=tier)["id"]
    for one in (stream_id, steady):
        service.wait_state(one, "running", 60)
    begin, samples, back_s = time.monotonic(), list[Sample](), list[float]()
    while (at_s := time.monotonic() - begin) < 60 * minutes:
        back_s.append(_one_reconnect(service, camera, stream_id))
        time.sleep(UP_S)
        samples.append(sample(service, at_s))
        figures = judged(samples, back_s)
        keep(figures)
        print(f"T6 {at_s / 60:.1f} of {minutes:g} min: {asdict(samples[-1])}", flush=True)
    return finished(judged(samples, back_s), samples, keep)


def _one_reconnect(service: Service, camera: RtspServer, stream_id: str) -> float:
    """→ seconds from the camera's return until the stream runs again."""
    camera.kill()
    service.wait_state(stream_id, "reconnecting", 15)
    time.sleep(DOWN_S)
    camera.start()
    back = time.monotonic()
    service.wait_state(stream_id, "running", 60)
    return time.monotonic() - back


def finished(figures: Figures, samples: Sequence[Sample], keep: Keep) -> Figures:
    figures["complete"] = True
    keep({**figures, "samples": [asdict(one) for one in samples]})
    return figures


def judged(samples: Sequence[Sample], back_s: Sequence[float]) -> Figures:
    """What the samples so far say."""
    warm = _warm(samples)
    figures: Figures = {
        "reconnects": len(back_s),
        "longest_until_back_s": round(max(back_s), 1),
        "minutes": round(samples[-1].at_s / 60, 1),
        "rss_mb": samples[-1].rss_mb,
        "pss_mb": samples[-1].pss_mb,
        "rss_slope_mb_in_10_min": slope(warm, "rss_mb"),
        "pss_slope_mb_in_10_min": slope(warm, "pss_mb"),
    }
    figures["grown"] = {name: growth(warm, name) for name in ("handles", "threads", "zombies", "processes")}
    figures["failures"] = _failures(warm, figures)
    figures["complete"] = False
    return figures


def _warm(samples: Sequence[Sample]) -> Sequence[Sample]:
    from_s = min(WARM_UP_S, WARM_UP * samples[-1].at_s)
    return [one for one in samples if one.at_s >= from_s] or samples[-1:]


def slope(samples: Sequence[Sample], name: str) -> float | None:
    """→ MB in ten minutes, least squares; None for fewer than three samples."""
    if len(samples) < 3:
        return None
    per_s = np.polyfit([one.at_s for one in samples], [getattr(one, name) for one in samples], 1)[0]
    return round(float(per_s) * 600, 2)


def growth(samples: Sequence[Sample], name: str) -> float:
    """→ the median of the last third less that of the first: a single odd sample is no growth."""
    third = max(1, len(samples) // 3)
    values = [getattr(one, name) for one in samples]
    return float(statistics.median(values[-third:]) - statistics.median(values[:third]))


def _failures(warm: Sequence[Sample], figures: Figures) -> list[str]:
    spare = 1 + figures["reconnects"] // RECONNECTS_A_THREAD
    allowed = {"threads": spare}
    wrong = [f"{name} grew by {value:g}" for name, value in figures["grown"].items() if value > allowed.get(name, 0)]
    wrong += ["there are zombies"] if warm[-1].zombies else []
    long_enough = warm[-1].at_s - warm[0].at_s >= JUDGED_S
    steep = figures["rss_slope_mb_in_10_min"]
    if long_enough and steep is not None and steep > SLOPE_MB:
        wrong.append(f"resident memory grows by {steep} MB in ten minutes")
    grown_mb = growth(warm, "rss_mb")
    if not long_enough and grown_mb > SHORT_MB:
        wrong.append(f"resident memory grew by {grown_mb:.0f} MB in {figures['minutes']} minutes")
    return wrong
