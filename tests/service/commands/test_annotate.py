"""What `actoscope annotate` is asked for reaches the source."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.entities import Zone
from pipeline.form.exercises import Exercise
from service.cli import build_parser
from service.commands.annotate import run, zones_of
from service.errors_base import InvalidRequest
from service.offline.annotate import AnnotateJob


def asked(monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[str, float]:
    """→ transport and seconds between snapshots, as the work is given them."""
    options = job(monkeypatch, *words).options
    return options.transport, options.snapshot_s


def job(monkeypatch: pytest.MonkeyPatch, *words: str) -> AnnotateJob:
    """→ what the work is given."""
    jobs: list[Any] = []

    def annotate(job: Any, *_: object) -> None:
        jobs.append(job)
        raise KeyboardInterrupt

    monkeypatch.setattr("service.commands.annotate.annotate", annotate)
    with pytest.raises(KeyboardInterrupt):
        run(build_parser(["annotate"]).parse_args(["annotate", "rtsp://127.0.0.1:9/cam", *words]))
    given: AnnotateJob = jobs[0]
    return given


def test_transport_and_pace_of_snapshots_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch) == ("tcp", 1.0)
    assert asked(monkeypatch, "--transport", "udp", "--snapshot-seconds", "0.2") == ("udp", 0.2)


def test_zones_come_from_a_file_that_has_to_be_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    polygon = [[0.1, 0.5], [0.6, 0.5], [0.6, 1.0]]
    file = tmp_path / "zones.json"
    file.write_text(json.dumps({"zones": [{"name": "gate", "polygon": polygon}]}))
    assert job(monkeypatch, "--zones", str(file)).zones == (Zone("gate", tuple((x, y) for x, y in polygon)),)
    assert job(monkeypatch).zones == ()
    for text, expected in {
        '{"zones": [{"name": "a", "polygon": [[0, 0], [1, 1]]}]}': "zones.json.zones.0.polygon: expected 3 to 32",
        '{"zones": [': "zones.json: expected JSON, got EOF",
        "[]": "zones.json: expected an object",
        '{"zone": []}': "zones.json.zones: expected ",
    }.items():
        file.write_text(text)
        with pytest.raises(InvalidRequest, match=re.escape(expected)):
            zones_of(file)
    with pytest.raises(FileNotFoundError):
        zones_of(tmp_path / "none.json")


def test_exercise_is_counted_with_a_pose_network_and_refused_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert job(monkeypatch).stages.form is None
    monkeypatch.setenv("ACTOSCOPE_POSE_WEIGHTS", str(tmp_path / "gone.onnx"))
    with pytest.raises(InvalidRequest, match=r"exercise: expected .* pose network .*gone\.onnx"):
        job(monkeypatch, "--exercise", "squat")
    (tmp_path / "gone.onnx").touch()
    (tmp_path / "rules.json").write_text('{"squat": {"low_deg": 90}}')
    monkeypatch.setenv("ACTOSCOPE_EXERCISE_RULES", str(tmp_path / "rules.json"))
    form = job(monkeypatch, "--exercise", "squat").stages.form
    assert form is not None and form.exercise is Exercise.SQUAT and form.rules[Exercise.SQUAT].low_deg == 90
    every = job(monkeypatch, "--exercise", "auto").stages.form
    assert every is not None and every.exercise is None


@pytest.mark.parametrize("wrong", [("--transport", "http"), *(("--snapshot-seconds", s) for s in ("0", "nan", "1e9"))])
def test_what_no_source_can_do_is_a_usage_error(wrong: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        build_parser(["annotate"]).parse_args(["annotate", "rtsp://127.0.0.1:9/cam", *wrong])
    assert left.value.code == 2
    assert f"argument {wrong[0]}" in capsys.readouterr().err
