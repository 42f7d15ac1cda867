"""benchmarks/alert_latency.py as it is run, with few messages."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks import alert_latency


def test_few_messages_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(alert_latency, "PAUSE_S", (0.0, 0.02))
    database = ["--database-url", f"sqlite:///{tmp_path / 'measured.db'}"]
    results = tmp_path / "alert_latency.json"
    alert_latency.main(["--messages", "12", "--burst", "3", "--results", str(results), *database])
    written = json.loads(results.read_text())
    assert [(row["way"], row["messages"]) for row in written["rows"]] == [
        *[("bell", 12), ("bell, 3 at once", 12), ("poll", 4), ("engine", 12), ("engine, 3 at once", 12)]
    ]
    with closing(sqlite3.connect(tmp_path / "measured.db")) as found:
        incidents = found.execute("SELECT state, count(*) FROM incidents GROUP BY state").fetchall()
    assert incidents == [("ended", 24)], "the engine found them"
    for row in written["rows"]:
        assert 0 <= row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"] <= row["max_ms"]
    assert "| bell | 12 |" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--messages", "9"], ["--burst", "1"]])
def test_too_little_to_measure_is_refused(arguments: list[str]):
    with pytest.raises(SystemExit):
        alert_latency.parse(arguments)
