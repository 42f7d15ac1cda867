"""What the chaos runs make of what they saw: judged samples, kept figures, the table, recordings held against rows."""

import json
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from benchmarks.chaos import __main__ as chaos
from benchmarks.chaos import table
from benchmarks.chaos.corrupt_media import MUTATIONS, damaged
from benchmarks.chaos.figures import Figures, Keep, Results, passed
from benchmarks.chaos.kept import kept
from benchmarks.chaos.malformed_requests import calls, raw
from benchmarks.chaos.soak import Sample, judged, slope
from benchmarks.chaos.targets import TARGETS, Wanted
from tests.support.media import write_video
from tests.support.small_disk import NotAllowed


class Ends:
    """The command with targets that end as they are told; everything that is made of their ends is real."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder, self._targets = folder, dict(TARGETS)
        monkeypatch.setattr(chaos, "TARGETS", self._targets)

    def replace(self, name: str, figures: Figures, error: Exception | None = None) -> None:
        def target(_folder: Path, _cache: Path, _wanted: Wanted, keep: Keep) -> Figures:
            if figures:
                keep(figures)
            if error is not None:
                raise error
            return figures

        self._targets[name] = target

    def run(self, name: str, figures: Figures, error: Exception | None = None, short: bool = False) -> int:
        self.replace(name, figures, error)
        return chaos.main([name, *(["--short"] if short else [])])

    def kept(self, file: str, name: str = "T1") -> Figures:
        figures: Figures = json.loads((self._folder / file).read_text())["targets"][name]
        return figures

    def page(self) -> str:
        return (self._folder / "reliability.md").read_text()


def sample(minute: float, rss_mb: float, handles: int = 100, zombies: int = 0) -> Sample:
    return Sample(60 * minute, rss_mb, rss_mb / 2, handles, 40, zombies, 4, {"API": rss_mb})


def test_flat_memory_and_counts_pass_the_soak():
    samples = [sample(minute, 800 + 30 * (minute < 5)) for minute in range(31)]
    figures = judged(samples, [2.0])
    assert figures["failures"] == [] and figures["rss_slope_mb_in_10_min"] == pytest.approx(0, abs=1e-6)


def test_leak_of_two_megabytes_in_ten_minutes_fails_the_soak():
    samples = [sample(minute, 800 + 0.2 * minute) for minute in range(31)]
    assert slope(samples, "rss_mb") == pytest.approx(2.0)
    assert judged(samples, [2.0])["failures"] == ["resident memory grows by 2.0 MB in ten minutes"]


def test_short_soak_is_judged_by_growth_alone():
    steep = [sample(minute / 10, 800 + minute) for minute in range(10)]
    assert judged(steep, [2.0])["failures"] == []
    leaking = [sample(minute / 10, 800 + 20 * minute) for minute in range(10)]
    assert "resident memory grew by" in judged(leaking, [2.0])["failures"][0]


def test_handle_more_with_every_reconnect_and_a_zombie_fail_the_soak():
    samples = [sample(minute, 800, handles=100 + minute, zombies=minute // 30) for minute in range(31)]
    assert [failure.split()[0] for failure in judged(samples, [2.0])["failures"]] == ["handles", "there"]


def test_single_odd_sample_is_no_growth():
    samples = [sample(minute, 800, handles=100 + 5 * (minute == 30)) for minute in range(31)]
    assert judged(samples, [2.0])["failures"] == []


def test_interrupted_run_keeps_its_figures_beside_the_last_complete_one(tmp_path: Path):
    path = tmp_path / "chaos.json"
    Results(path).keeper("T1", {"seed": 1})({"kills": 100, "failures": [], "complete": True})
    keep = Results(path).keeper("T1", {"seed": 2})
    keep({"kills": 3, "failures": []})
    kept_now = json.loads(path.read_text())["targets"]["T1"]
    assert (kept_now["kills"], kept_now["interrupted"]["kills"], kept_now["interrupted"]["seed"]) == (100, 3, 2)
    keep({"kills": 50, "failures": [], "complete": True})
    assert json.loads(path.read_text())["targets"]["T1"]["kills"] == 50


WHOLE: Figures = {"kills": 100, "failures": [], "complete": True}


@pytest.fixture
def ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ends:
    """The command on files of its own."""
    page = tmp_path / "reliability.md"
    page.write_text("".join(table.MARKS))
    monkeypatch.setattr(chaos, "RESULTS", tmp_path / "chaos.json")
    monkeypatch.setattr(chaos, "SHORT_RESULTS", tmp_path / "chaos-short.json")
    monkeypatch.setattr(chaos, "PAGE", page)
    return Ends(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    "error",
    [
        AssertionError("nothing came"),
        NotAllowed("no right to mount"),
        psutil.NoSuchProcess(1),
        httpx.ConnectError("refused"),
        subprocess.TimeoutExpired("actoscope", 9),
        KeyError("id"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_run_that_breaks_off_fails_though_an_older_one_passed(
    ends: Ends, error: Exception, capsys: pytest.CaptureFixture[str]
):
    assert ends.run("T1", WHOLE) == 0
    assert ends.run("T1", {"kills": 3, "failures": ["one lost"]}, error) == 1
    told = capsys.readouterr().out.rpartition("failed: one lost; ")[2]
    assert str(error) in told
    assert ends.run("T1", {"kills": 4, "failures": []}, error) == 1
    kept_now = ends.kept("chaos.json")
    assert kept_now["kills"] == 100
    assert kept_now["interrupted"]["kills"] == 4 and "interrupted" not in kept_now["interrupted"]
    assert "passed; a later run broke off" in ends.page()
    assert ends.run("T1", WHOLE) == 0
    assert "interrupted" not in ends.kept("chaos.json")


def test_targets_after_one_that_breaks_off_are_run_all_the_same(ends: Ends):
    ends.replace("T1", {}, OSError("no port is free"))
    ends.replace("T7", WHOLE)
    assert chaos.main(["T1", "T7"]) == 1
    assert ends.kept("chaos.json", "T7")["complete"]
    assert ends.kept("chaos.json", "T1")["failures"] == ["OSError: no port is free"]


def test_short_run_leaves_full_figures_and_the_document_alone(ends: Ends):
    ends.run("T1", WHOLE)
    before = ends.page()
    assert ends.run("T1", {"kills": 6, "failures": [], "complete": True}, short=True) == 0
    assert (ends.kept("chaos.json")["kills"], ends.kept("chaos-short.json")["kills"]) == (100, 6)
    assert ends.page() == before


@pytest.mark.parametrize(
    ("figures", "verdict"),
    [
        ({"kills": 9, "failures": [], "complete": True}, "passed"),
        ({"kills": 9, "failures": []}, "broken off"),
        ({"kills": 9, "failures": ["a | b"], "complete": True}, "failed: a / b"),
    ],
    ids=["passed", "broken off", "failed"],
)
def test_table_says_what_was_asked_and_what_came(figures: dict[str, Any], verdict: str):
    line = table.markdown({"T1": {**figures, "host": "a machine"}}).splitlines()[-1]
    assert line.endswith(f"| kills 9 | {verdict} |")
    assert passed(figures) == (verdict == "passed")


def folder_with_rows(tmp_path: Path, rows: list[str]) -> Path:
    recordings = tmp_path / "recordings" / "str_a"
    recordings.mkdir(parents=True)
    with sqlite3.connect(tmp_path / "actoscope.db") as database:
        database.execute("create table recordings (path text)")
        database.executemany("insert into recordings values (?)", [(row,) for row in rows])
    return recordings


def test_recordings_in_order_have_no_failures(tmp_path: Path):
    write_video(folder_with_rows(tmp_path, ["str_a/1.mp4"]) / "1.mp4", frames=5)
    found = kept(tmp_path)
    assert (found.recordings, found.failures()) == (1, [])


def test_every_kind_of_disorder_is_a_failure(tmp_path: Path):
    folder = folder_with_rows(tmp_path, ["str_a/gone.mp4", "str_a/torn.mp4"])
    (folder / "torn.mp4").write_bytes(write_video(folder / "whole.mp4", frames=5).read_bytes()[:500])
    (folder / "open.mp4.part").touch()
    assert kept(tmp_path).failures() == [
        "1 × unplayable", "1 × rows without file", "1 × files without row", "1 × left open"
    ]  # fmt: skip


def test_there_are_as_many_malformed_requests_as_the_target_asks_and_none_twice():
    everything = [*map(repr, calls("str_1", 9)), *map(repr, raw())]
    assert len(everything) >= 200
    assert len(everything) == len(set(everything))


def test_damaged_files_are_of_every_kind_and_come_again_the_same(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, again = (list(damaged(tmp_path / name, 7, 16)) for name in ("a", "b"))
    assert {path.stem.split("_")[2] for path in first} == {each.__name__ for each in MUTATIONS}
    assert len({path.read_bytes() for path in first}) == 16
    same = [(one, other) for one, other in zip(first, again, strict=True) if one.suffix in (".mp4", ".ts", ".avi")]
    assert same and all(one.read_bytes() == other.read_bytes() for one, other in same)  # Matroska draws numbers itself
