"""Each target from nothing to its figures: the service and the cameras that it needs, and the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.chaos import full_disk, hostile, kills, soak, subscribers
from benchmarks.chaos.figures import Figures, Keep
from benchmarks.chaos.scene import running
from tests.support.rtsp import RtspServer
from tests.support.service import SAMPLE, SAMPLE_URL
from tests.support.small_disk import mounted_disk


@dataclass(frozen=True, slots=True)
class Wanted:
    """How much of it."""

    kills: int = 100
    soak_minutes: float = 30.0
    damaged: int = 112  # files of T5 that are made by chance; those made by hand come besides
    destroyed: int | None = None  # of those made by hand; None: all
    crowd_s: float = 120.0
    full_s: float = 30.0
    seed: int = 7


def scaled(wanted: Wanted) -> Wanted:
    """→ what fits a few minutes."""
    return replace(
        wanted,
        kills=min(6, wanted.kills),
        soak_minutes=min(1.0, wanted.soak_minutes),
        damaged=8,
        destroyed=8,
        crowd_s=20.0,
        full_s=6.0,
    )


def t1(folder: Path, cache: Path, wanted: Wanted, keep: Keep) -> Figures:
    mounts = ("/a", "/b")
    with RtspServer(SAMPLE, mounts=mounts) as cameras, running(folder, cache, segment_s="5") as service:
        urls = [*map(cameras.url, mounts), SAMPLE_URL]
        ids = [service.add_stream(url, record=True)["id"] for url in urls]
        return kills.kill_at_random(service, ids, wanted.kills, wanted.seed, keep)


def t8(folder: Path, cache: Path, wanted: Wanted, keep: Keep) -> Figures:
    limit = {"segment_s": "5", "recordings_min_free_mb": str(full_disk.MIN_FREE_MB)}
    with (
        mounted_disk(folder / "data", full_disk.DISK_KB),
        RtspServer(SAMPLE) as camera,
        running(folder, cache, **limit) as service,
    ):
        return full_disk.fill_and_free(service, camera.url(), wanted.full_s, keep)


def t5(folder: Path, cache: Path, wanted: Wanted, keep: Keep) -> Figures:
    with running(folder, cache) as service:
        return hostile.send_all(service, wanted.damaged, wanted.seed, keep, wanted.destroyed)


def t6(folder: Path, cache: Path, wanted: Wanted, keep: Keep) -> Figures:
    with RtspServer(SAMPLE) as camera, running(folder, cache, segment_s="5", **soak.ONE_SIZE) as service:
        return soak.soak(service, camera, SAMPLE_URL, wanted.soak_minutes, keep)


def t7(folder: Path, cache: Path, wanted: Wanted, keep: Keep) -> Figures:
    with RtspServer(SAMPLE) as camera, running(folder, cache) as service:
        return subscribers.get_stuck(service, camera.url(), wanted.crowd_s, keep)


TARGETS: Mapping[str, Callable[[Path, Path, Wanted, Keep], Figures]] = {
    "T1": t1,
    "T5": t5,
    "T6": t6,
    "T7": t7,
    "T8": t8,
}
