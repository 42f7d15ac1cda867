"""Targets T1, T5, T6, T7 and T8, shortened: the same runs as ``python -m benchmarks.chaos``, which has the long ones.

``ACTOSCOPE_TEST_SOAK_MINUTES`` makes the soak longer than the half minute that every run of the suite can afford.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.chaos import full_disk, hostile, kills, soak, subscribers
from benchmarks.chaos.figures import passed
from benchmarks.chaos.scene import running
from tests.e2e.conftest import CACHE
from tests.support.rtsp import RtspServer
from tests.support.service import SAMPLE, SAMPLE_URL, Service
from tests.support.small_disk import small_disk

FROZEN_MS = 3000.0  # the lag that a busy machine may have; benchmarks hold it to 250 ms
SOAK_MINUTES = float(os.environ.get("ACTOSCOPE_TEST_SOAK_MINUTES", "0.5"))


class Kept:
    """What a run told of itself on the way."""

    def __init__(self) -> None:
        self.figures: list[dict[str, Any]] = []

    def __call__(self, figures: Mapping[str, Any]) -> None:
        self.figures.append(dict(figures))


@pytest.fixture
def keep() -> Kept:
    return Kept()


def test_kills_lose_no_finished_recording_and_little_of_an_open_one(tmp_path: Path, quick: dict[str, str], keep: Kept):
    with RtspServer(SAMPLE) as camera, running(tmp_path, CACHE, segment_s="3", **quick) as service:
        ids = [service.add_stream(url, record=True)["id"] for url in (camera.url(), SAMPLE_URL)]
        figures = kills.kill_at_random(service, ids, kills=4, seed=3, keep=keep)
    assert passed(figures), figures
    assert set(figures["killed"]) >= {"API", "stream"}, "the seed was to reach both"
    assert figures["losses"] and figures["recordings"]
    assert [told["kills"] for told in keep.figures] == [1, 2, 3, 4, 4], "figures are kept after every kill"


def test_malformed_requests_and_corrupt_media_end_in_4xx_and_failed(service: Service, keep: Kept):
    figures = hostile.send_all(service, damaged=4, seed=7, keep=keep, destroyed=4)
    assert passed(figures), figures["failures"]
    assert figures["requests"] >= 200 and figures["media"] >= 8
    assert figures["canary_reached"] == 0


def test_soak_with_reconnects_grows_nothing(quick_service: Service, keep: Kept):
    with RtspServer(SAMPLE) as camera:
        figures = soak.soak(quick_service, camera, SAMPLE_URL, SOAK_MINUTES, keep, tier="full")
    assert passed(figures), figures
    assert figures["reconnects"] >= 3


def test_stuck_subscribers_are_cut_and_the_others_do_not_notice(quick_service: Service, keep: Kept):
    figures = subscribers.get_stuck(quick_service, SAMPLE_URL, 12.0, keep, lag_ms=FROZEN_MS)
    assert passed(figures), figures
    assert figures["subscribers"] == 200 and figures["stuck"] == 20


def test_full_disk_stops_recording_and_nothing_else(tmp_path: Path, quick: dict[str, str], keep: Kept):
    settings = {"segment_s": "5", "recordings_min_free_mb": str(full_disk.MIN_FREE_MB), **quick}
    with small_disk(tmp_path / "data", full_disk.DISK_KB), running(tmp_path, CACHE, **settings) as service:
        figures = full_disk.fill_and_free(service, SAMPLE_URL, 3.0, keep)
    assert passed(figures), figures
    assert figures["to_the_last_byte"]["with_label"] and figures["to_the_limit"]["with_label"]
