"""What work costs here: averages that follow, and a file that survives a restart."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from service.budget.costs import Cost, Costs, CostsFile


def test_observed_costs_follow_what_was_measured_last():
    costs = Costs()
    assert costs.of("detect:640") is None
    for _ in range(50):
        costs.observe("detect:640", 0.1, 0.2)
    for _ in range(50):
        costs.observe("detect:640", 0.3, 0.6)
    known = costs.of("detect:640")
    assert known is not None
    assert known.cpu_s == pytest.approx(0.3, rel=0.02) and known.wall_s == pytest.approx(0.6, rel=0.02)


def test_time_taken_on_a_busy_machine_is_not_held_against_work_that_was_not_done_since():
    costs = Costs()
    for _ in range(20):
        costs.observe("detect:640", 0.1, 0.5)  # others took the cores
    for _ in range(60):
        costs.observe("detect:320", 0.03, 0.03)  # and do so no more
    known = costs.of("detect:640")
    assert known is not None
    assert known.cpu_s == pytest.approx(0.1) and known.wall_s == pytest.approx(0.1, rel=0.05)
    costs.observe("clip:m", 0.1, 0.4)
    clip = costs.of("clip:m")
    assert clip is not None and clip.wall_s == pytest.approx(0.4), "another kind of work, at another priority"


def test_batch_counts_by_the_piece():
    costs = Costs()
    costs.observe("clip:m", 0.8, 0.4, count=4)
    assert costs.of("clip:m") == Cost(0.2, 0.1, 1)


@pytest.mark.parametrize("cpu_wall", [(-1, 1), (1, 0), (float("nan"), 1), (float("inf"), 1)])
def test_what_is_no_time_is_passed_over(cpu_wall: tuple[float, float]):
    costs = Costs()
    costs.observe("x", *cpu_wall)
    costs.observe("x", 1.0, 1.0, count=0)
    assert costs.of("x") is None


def test_timed_work_of_one_thread_counts_its_own_cpu_time_and_none_without_pieces():
    costs = Costs()
    with costs.timed("sum", threads=1):
        sum(range(200_000))
    with costs.timed("nothing", threads=1) as done:
        done.count = 0
    known = costs.of("sum")
    assert known is not None and 0 < known.cpu_s <= known.wall_s * 1.5
    assert costs.of("nothing") is None


def test_kept_costs_are_there_after_a_restart_and_give_way_to_new_ones(tmp_path: Path):
    costs = Costs()
    costs.observe("detect:640", 0.1, 0.1)
    CostsFile(tmp_path, ["this host"]).write(costs)
    later = Costs()
    later.start_from(CostsFile(tmp_path, ["this host"]).read())
    assert later.of("detect:640") == Cost(0.1, 0.1, 1)
    assert CostsFile(tmp_path, ["another host"]).read() == {}
    for _ in range(30):
        later.observe("detect:640", 0.4, 0.4)
    known = later.of("detect:640")
    assert known is not None and known.cpu_s > 0.35


@pytest.mark.parametrize("content", ["", "[1]", '{"detect": {"cpu_s": "much"}}', '{"detect": {}}', "\x00"])
def test_broken_file_is_measured_again_and_said(tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture):
    file = CostsFile(tmp_path, ["h"])
    file.write(Costs())
    (path,) = tmp_path.iterdir()
    path.write_text(content)
    with caplog.at_level(logging.WARNING):
        assert file.read() == {}
    assert str(path) in caplog.text


def test_folder_that_cannot_be_written_is_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "file").touch()
    CostsFile(tmp_path / "file", ["h"]).write(Costs())
    assert "cannot be kept" in caplog.text
