"""The benchmark of a cluster's cost: its figures come from its turns, its table stands in the document."""

from __future__ import annotations

import json

import pytest

from benchmarks.cluster_cost import (
    CLUSTER,
    DOCUMENT,
    PARTS,
    RESULTS,
    SINGLE,
    Turn,
    counted,
    own_ratio,
    part_of,
    spread,
    summary,
    table,
    used_between,
)

METRICS = """
# TYPE actoscope_frames_out counter
actoscope_frames_out_total{node="a",stream="str_1"} 40
actoscope_frames_out_total{node="a",stream="str_2"} 2
actoscope_frames_out_total{node="a",stream="str_3"} 1000
# TYPE actoscope_label_latency_seconds histogram
actoscope_label_latency_seconds_bucket{stream="str_1",le="+Inf"} 4
actoscope_label_latency_seconds_count{stream="str_1"} 4
actoscope_label_latency_seconds_sum{stream="str_1"} 0.5
# TYPE actoscope_stage_seconds histogram
actoscope_stage_seconds_bucket{stream="str_1",stage="detect_wait",le="+Inf"} 7
actoscope_stage_seconds_count{stream="str_1",stage="detect_wait"} 7
actoscope_stage_seconds_sum{stream="str_1",stage="detect_wait"} 1
actoscope_stage_seconds_bucket{stream="str_1",stage="track",le="+Inf"} 9
actoscope_stage_seconds_count{stream="str_1",stage="track"} 9
actoscope_stage_seconds_sum{stream="str_1",stage="track"} 1
"""


def turn(mode: str, cpu_s: float, label_s: float, heard_ms: list[float]) -> Turn:
    return Turn(mode, 20.0, 1000, 500, label_s, {**dict.fromkeys(PARTS, 0.0), "streams": cpu_s}, heard_ms)


def test_what_streams_counted_is_summed_over_those_of_the_turn():
    found = counted(METRICS, {"str_1", "str_2"})
    assert (found.frames, found.detections, found.labels, found.label_s) == (42, 7, 4, 0.5)


def test_processes_are_known_by_their_commands():
    assert part_of("node", ["python", "-m", "service.processes.stream_process"]) == "streams"
    assert part_of("API", ["python", "-m", "service.cluster.links.ray_side"]) == "Ray"
    assert part_of("node", ["ray::DashboardAgent"]) == "Ray"
    assert part_of("node", ["python", "-m", "service.cli", "node"]) == "node"
    used = used_between({("API", 1): 2.0, ("Ray", 2): 1.0}, {("API", 1): 3.5, ("Ray", 3): 0.25})
    assert (used["API"], used["Ray"], used["streams"]) == (1.5, 0.25, 0.0)


def test_ratios_and_differences_are_of_single_pairs():
    pairs = [
        {SINGLE: turn(SINGLE, 10.0, 0.4, [100.0]), CLUSTER: turn(CLUSTER, 11.0, 0.4, [120.0, 121.0])},
        {SINGLE: turn(SINGLE, 20.0, 0.5, [90.0]), CLUSTER: turn(CLUSTER, 20.0, 0.4, [100.0])},
        {SINGLE: turn(SINGLE, 10.0, 0.4, [100.0]), CLUSTER: turn(CLUSTER, 10.2, 0.41, [101.0])},
    ]
    found = summary(pairs)
    assert found["cpu_ratio"] == {"median": 1.02, "low": 1.0, "high": 1.1}
    assert found["age_p95_added_ms"] == {"median": 11.0, "low": -90.0, "high": 21.0}
    assert found["own_ratio"] == {"median": 1.0, "low": 1.0, "high": 1.0}  # all of it is the streams'
    assert found["modes"][SINGLE]["cpu_ms"] == 10.0
    assert found["modes"][CLUSTER]["parts_ms"]["streams"] == 11.0


def test_its_own_part_is_what_it_takes_beside_cameras_and_networks():
    single = Turn(SINGLE, 20.0, 1000, 500, 0.4, {**dict.fromkeys(PARTS, 0.0), "streams": 9.0, "API": 1.0}, [1.0])
    cluster = Turn(CLUSTER, 20.0, 900, 500, 0.4, {**dict.fromkeys(PARTS, 0.0), "streams": 7.0, "Ray": 1.5}, [1.0])
    assert own_ratio(single, cluster) == pytest.approx(1.05)


def test_interval_is_that_of_the_median_and_narrows_with_the_pairs():
    few, many = spread([1.0, 2.0, 3.0], 2), spread([1.0, 2.0, 3.0] * 30, 2)
    assert (few["low"], few["high"]) == (1.0, 3.0)
    assert many == {"median": 2.0, "low": 2.0, "high": 2.0}


def test_goal_is_reached_where_the_worst_run_reaches_it():
    def run(number: int, ratio: float, way_ms: float) -> dict[str, object]:
        return {
            "scene": "sample",
            "run": number,
            "load": 1.0,
            **summary([{SINGLE: turn(SINGLE, 10.0, 0.4, [9.0]), CLUSTER: turn(CLUSTER, 10.0, 0.4, [9.0])}]),
            "own_ratio": {"median": ratio, "low": ratio, "high": ratio},
            "heard_p50_added_ms": {"median": way_ms, "low": way_ms, "high": way_ms},
        }

    about = {"pairs": 1, "cameras": 2, "seconds": 1.0, "machine": "a"}
    told = table({**about, "measured": [run(1, 1.04, 60.0), run(2, 1.06, 20.0)]})
    assert "at most × 1.05: not reached (1, its own part 1.06)" in told
    assert "at most +50 ms: not reached (+60 ms)" in told
    assert "1.05: reached (1, its own part 1.05)" in table({**about, "measured": [run(1, 1.05, 1.0)]})


def test_document_shows_what_was_measured():
    assert table(json.loads(RESULTS.read_text())) in DOCUMENT.read_text()
