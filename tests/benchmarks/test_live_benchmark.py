"""The pure parts of benchmarks/live.py: its rows, what it makes of messages and metrics, its scenes and its table."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks import live
from benchmarks.live_cameras import figures, isa, straight_line, table
from benchmarks.live_cameras.figures import Message, Metrics, Share
from benchmarks.live_cameras.machine import cpu
from benchmarks.live_cameras.rows import AVX2, DEFAULT, NATIVE, Row, Wanted, keep, missing, plan
from benchmarks.live_cameras.service_run import Observed, Timing, _warm, columns
from benchmarks.live_cameras.straight_line import Person, Span, StraightLine
from benchmarks.live_cameras.videos import SCENES, Scene, Tile, camera_video
from service.counters import Measures
from service.prometheus import CounterKeeper, exposition

CPU = "2 cores of some processor (avx2)"
RATE = 10.0


def track(track_id: int, box: tuple[float, float, float, float], action: str | None = None, **more: object) -> dict:
    return {"track_id": track_id, "box": list(box), "action": action, **more}


def message(time_s: float, *tracks: dict) -> dict:
    return {"type": "tracks", "stream_id": "str_1", "time_s": time_s, "tracks": list(tracks)}


def walker(number: int, frame: int) -> tuple[float, float, float, float]:
    """One walks to the right above, the other to the left below."""
    x = 0.008 * frame if number == 0 else 0.9 - 0.008 * frame
    y = 0.1 + 0.5 * number
    return (x, y, x + 0.1, y + 0.3)


def street(frames: int = 100) -> StraightLine:
    """Ten seconds with two people who are there all the time."""
    people = tuple(tuple(Person(n, walker(n, i), i / RATE) for n in (0, 1)) for i in range(frames))
    return StraightLine(RATE, people, (Span(0.0, 20.0), Span(9.0, 12.0), Span(14.0, 14.5)), 2)


# -- rows


def test_plan_without_wishes_is_the_default_on_the_cores_that_are_there() -> None:
    assert plan(Wanted(), 2, [NATIVE]) == list(DEFAULT)
    assert {row.cores for row in plan(Wanted(), 1, [NATIVE])} == {1}


def test_plan_with_wishes_is_their_product() -> None:
    rows = plan(Wanted(videos=("people-5", "people-2"), cameras=(1, 4), loads=(0, 1)), 2, [NATIVE])
    assert len(rows) == len({row.name for row in rows}) == 8
    assert Row("people-2", cameras=4, load=1) in rows
    with pytest.raises(ValueError, match="at most the 1 cores"):
        plan(Wanted(videos=("sample",), cores=(2,)), 1, [NATIVE])


def test_plan_measures_equal_instruction_sets_once() -> None:
    both = Wanted(videos=("sample",), isas=(NATIVE, AVX2))
    assert [row.isa for row in plan(both, 2, [NATIVE])] == [NATIVE]
    assert [row.isa for row in plan(both, 2, [NATIVE, AVX2])] == [NATIVE, AVX2]
    assert [row.isa for row in plan(Wanted(videos=("sample",), isas=(AVX2,)), 2, [NATIVE])] == [NATIVE]


def test_distinct_asks_the_clip_time_and_not_the_flags_alone() -> None:
    wide = ["avx2", "avx512f", "avx512_bf16"]
    assert isa.distinct(["avx2"], {NATIVE: 0.5, AVX2: 3.6}) == [NATIVE]
    assert isa.distinct(wide, {NATIVE: 0.5, AVX2: 3.6}) == [NATIVE, AVX2]
    assert isa.distinct(wide, {NATIVE: 0.5, AVX2: 0.51}) == [NATIVE]
    assert isa.limited(NATIVE) == {} and isa.limited(AVX2) == {"ONEDNN_MAX_CPU_ISA": "AVX2"}


def result(row: Row, seconds: int = 60, cpu: str = CPU, **more: object) -> dict:
    return {"row": row.name, "cpu": cpu, "seconds": seconds, **more}


def test_missing_are_rows_of_other_machines_failures_and_short_runs() -> None:
    here, other, short, failed, never = (Row("people-5", cameras=n) for n in range(1, 6))
    results = [result(here), result(other, cpu="another"), result(short, 20), result(failed, problem="no camera")]
    assert missing([here, other, short, failed, never], results, CPU, 60) == [other, short, failed, never]
    assert missing([here, short], results, CPU, 20) == []


def test_keep_replaces_a_row_of_the_same_processor_but_never_figures_by_a_failure() -> None:
    row = Row("sample")
    old, foreign = result(row, ids=1), result(row, cpu="another", ids=2)
    new, broken = result(row, ids=3), result(row, problem="no")
    assert keep([old, foreign], new) == [new, foreign]
    assert keep([old, foreign], broken) == [old, foreign]
    assert keep([broken], new) == [new] and keep([foreign], broken) == [foreign, broken]


def test_run_again_measures_nothing_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def measured(row: Row, timing: Timing, cache: Path) -> dict:
        tried.append(row.name)
        return {**result(row, timing.seconds, cpu()), "problem": "broken" if len(tried) == 1 else ""}

    monkeypatch.setattr(live, "measured", measured)
    monkeypatch.setattr(live, "prepared", lambda cache: None)
    monkeypatch.setattr(live, "isas_here", lambda cache: [NATIVE])
    monkeypatch.setattr(table, "plain", str)
    options = ["--videos", "sample", "--cores", "1", "--loads", "0", "1", "--json", str(tmp_path / "live.json")]
    for _ in range(3):
        assert live.main(options) == 0
    first, second = Row("sample", cores=1).name, Row("sample", cores=1, load=1).name
    assert tried == [first, second, first]  # the one that failed is tried once more, then all are there


# -- messages


def test_own_share_counts_boxes_after_three_seconds_of_their_id() -> None:
    messages = [message(i / 2, track(1, walker(0, i), "Walking" if i >= 8 else None)) for i in range(11)]  # 0 … 5 s
    assert figures.own_share(messages) == Share(4, 4, 3)  # 3.5, 4, 4.5 and 5 s; labelled from 4 s on
    ever_new = [message(i / 2, track(i, walker(0, i))) for i in range(11)]
    assert figures.own_share(ever_new).boxes == 0


def test_share_finds_where_in_the_video_the_camera_is() -> None:
    line, begin = street(), 37
    told = [
        message(i / RATE, track(5, walker(0, (begin + i) % 100), "Walking"), track(6, walker(1, (begin + i) % 100)))
        for i in range(0, 200, 2)
    ]
    found = figures.share(told, line)
    assert figures.aligned(told[:50], line) == begin
    assert found.boxes == found.found == 2 * found.labelled
    assert found.boxes == 2 * 2 * 35  # of each pass every second frame from 3.1 s on (odd frames: 31 … 99), two people


def test_share_holds_missing_boxes_and_ever_new_ids_against_the_service() -> None:
    line = street()
    one = [message(i / RATE, track(i, walker(0, i), "Walking")) for i in range(100)]  # a new ID each time
    assert figures.share(one, line) == Share(138, 69, 69)  # 3.1 … 9.9 s, two people
    assert figures.share([message(i / RATE) for i in range(100)], line) == Share(138, 0, 0)


def test_ids_and_tiers_are_counted_over_messages() -> None:
    told = [
        message(0.0, track(1, walker(0, 0), "Walking", model="surveillance-light"), track(2, walker(1, 0))),
        message(0.1, track(1, walker(0, 1), "Walking", model="surveillance"), track(3, walker(1, 1))),
        message(0.2, track(1, walker(0, 2), "Walking", model="surveillance-light")),
    ]
    assert figures.ids(told) == 3
    assert figures.tiers(told) == {"surveillance-light": 0.667, "surveillance": 0.333}
    assert figures.tiers([message(0.0, track(1, walker(0, 0), "Walking"))]) is None


def test_straight_line_counts_ids_from_the_second_pass_on() -> None:
    line = street()
    assert line.period_s == 10 and line.people == 2
    assert line.ids(1) == 2  # the third is told of four seconds later
    assert line.ids(5) == 3


def test_straight_line_is_read_as_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line, runs = street(5), list[tuple[object, ...]]()

    def run(*arguments: object) -> StraightLine:
        runs.append(arguments)
        return line

    video = tmp_path / "v.mp4"
    video.write_bytes(b"a video")
    monkeypatch.setattr(straight_line, "run", run)
    assert straight_line.kept(video, 0.5, tmp_path, tmp_path, False) == line
    assert straight_line.kept(video, 0.5, tmp_path, tmp_path, False) == line and len(runs) == 1
    straight_line.kept(video, 0.6, tmp_path, tmp_path, False)  # longer than its one pass after the first
    assert len(runs) == 2
    video.write_bytes(b"another")
    straight_line.kept(video, 0.5, tmp_path, tmp_path, False)
    assert len(runs) == 3


# -- metrics


def exposed(waits_s: list[float], clips: int) -> str:
    stream, inference = Measures(), Measures()
    for wait_s in waits_s:
        stream.observe("stage:detect_wait", wait_s)
        stream.observe("stage:track", 9.0)
    inference.count("clips_classified_total", clips)
    items = [("", {"stream": "str_1"}, stream.snapshot(), CounterKeeper())]
    items += [("inference_", {}, inference.snapshot(), CounterKeeper())]
    return exposition(items).decode()


def test_metrics_reads_what_the_service_writes() -> None:
    before, after = figures.metrics(exposed([5.0], 2)), figures.metrics(exposed([5.0, 0.1, 0.1, 0.2, 7.0], 12))
    grown = figures.grown(before, after)
    assert after.clips - before.clips == 10
    assert figures.count(grown) == 4
    assert grown[0.15] == 2 and grown[0.3] == 3 and grown[math.inf] == 4
    assert figures.metrics("").clips == 0


def test_quantile_goes_straight_between_bounds() -> None:
    histogram = {0.1: 10.0, 0.2: 20.0, math.inf: 20.0}
    assert figures.quantile(histogram, 0.5) == pytest.approx(0.1)
    assert figures.quantile(histogram, 0.95) == pytest.approx(0.19)
    assert figures.quantile({0.1: 0.0, 0.2: 0.0, math.inf: 4.0}, 0.5) == 0.2  # at least
    assert figures.quantile({}, 0.5) is None


def test_percentile_is_a_value_that_was_there() -> None:
    assert figures.percentile([3.0, 1.0, 2.0, 4.0], 50) == 3.0
    assert figures.percentile([3.0, 1.0, 2.0, 4.0], 95) == 4.0
    assert figures.percentile([], 50) is None


# -- a run


def test_warm_waits_for_ready_then_for_a_label_and_then_a_while() -> None:
    timing = Timing(warm_up_s=20, patience_s=60, ready_s=300)
    assert not _warm(Observed(), timing, 299)
    with pytest.raises(TimeoutError, match="not ready after 300 s"):
        _warm(Observed(), timing, 301)
    assert [_warm(Observed(ready_s=10), timing, now) for now in (69, 70)] == [False, True]
    assert [_warm(Observed(ready_s=10, first_label_s=12), timing, now) for now in (31, 32)] == [False, True]


def test_columns_are_rates_over_the_measured_time_and_all_cameras() -> None:
    line = street()
    told: list[Message] = [
        message(i / RATE, track(1, walker(0, i), "Walking"), track(2, walker(1, i))) for i in range(100)
    ]
    seen = Observed(2.0, 5.0, 10.0, 15.0, {"str_1": told, "str_2": told}, [900.0, 1800.0], [700, 800], [2, 4])
    seen.before, seen.after = Metrics(1.0, {}), Metrics(21.0, {"str_1": {0.1: 60.0, math.inf: 60.0}})
    found = columns(Row("people-2", cameras=2), seen, line)
    assert (found["labelled"], found["found"], found["labelled_own"]) == (0.5, 1.0, 0.5)
    assert (found["ids"], found["ids_straight_line"], found["ids_ratio"]) == (4, 6, 0.67)
    assert (found["clips_a_second"], found["detections_a_second"], found["cpu_s_a_second"]) == (2.0, 3.0, 1.5)
    assert found["told_a_second"] == 10
    assert (found["label_age_s_p95"], found["detect_wait_ms_p95"], found["pss_mb"]) == (1.8, 95, 800)
    assert (found["ready_s"], found["first_label_s"], found["tiers"], found["stride"]) == (2.0, 5.0, None, 3)
    row = Row("people-2", cameras=2)
    shown = table.cells({**result(row), **found})
    assert len(shown) == len(table.HEAD) and "4 / 6 = 0.67" in shown and "50%" in shown and "?" in shown


def test_columns_of_a_service_that_showed_nothing_say_so() -> None:
    found = columns(Row("sample"), Observed(ready_s=3.0, seconds=10.0, streams={"str_1": []}), street())
    assert found["labelled"] is None and found["ids"] == 0 and found["detect_wait_ms_p95"] is None
    assert "– / –" in table.cells({**result(Row("sample")), **found})


def test_markdown_has_a_table_for_each_processor_and_says_what_failed() -> None:
    failed = result(Row("sample"), problem="AssertionError: no | camera")
    text = table.markdown([failed, result(Row("sample"), cpu="another", problem="no")])
    assert text.count("| row | people |") == 2 and f"{CPU}:" in text and "none: AssertionError: no / camera" in text
    assert len({line.count("|") for line in text.splitlines() if line.startswith("|")}) == 1


# -- scenes


def test_every_scene_fills_a_picture_of_720p() -> None:
    for scene in SCENES.values():
        width, height = map(int, scene.size.split(":"))
        assert len(scene.tiles) % scene.columns == 0
        assert (width * scene.columns, height * len(scene.tiles) // scene.columns) == (1280, 720)


def test_camera_video_shows_each_tile_at_its_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.live_cameras import videos
    from benchmarks.tracking import frames_of

    part = "128:96:320:240"
    tiles = (Tile(part), Tile(part, 5, mirrored=True))
    monkeypatch.setattr(videos, "SCENES", {"two": Scene(tiles, 2, "64:48")})
    images = [frame.image for frame in frames_of(camera_video("two", tmp_path))]
    assert images[0].shape == (48, 128, 3) and abs(len(images) - 500) <= 3
    later = images[0][:, 64:][:, ::-1].astype(int)  # the right tile, mirrored back
    now, in_5_s = images[0][:, :64].astype(int), images[125][:, :64].astype(int)
    assert 2 * np.abs(in_5_s - later).mean() < np.abs(now - later).mean()  # 2.0 and 8.0 levels
    assert camera_video("sample", tmp_path).name == "street.mp4"
    with pytest.raises(ValueError, match="expected one of sample"):
        camera_video("people-3", tmp_path)
