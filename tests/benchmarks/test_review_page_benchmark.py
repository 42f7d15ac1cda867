"""benchmarks/review_page.py as it is run, with few events."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from benchmarks import review_page


@pytest.mark.exhaustive
def test_few_events_are_measured_beside_an_empty_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    results = tmp_path / "review_page.json"
    review_page.main(["--events", "200", "--frames", "20", "--repeats", "1", "--results", str(results)])
    written = json.loads(results.read_text())
    assert [row["events"] for row in written["rows"]] == [0, 200]
    for row in written["rows"]:
        assert 0 < row["paint_ms"] <= row["shown_ms"]
        assert 0 < row["scripts_ms"] < row["answer_ms"] <= row["shown_ms"]
        assert 0 < row["frame_p50_ms"] <= row["frame_p95_ms"] <= row["frame_max_ms"]
    assert "| 200 |" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--events", "0"], ["--events", "10001"], ["--frames", "3"]])
def test_what_cannot_be_measured_is_refused(arguments: list[str]):
    with pytest.raises(SystemExit):
        review_page.parse(arguments)
