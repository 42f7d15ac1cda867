"""What docs/cluster.md says of clips on another node is what was measured."""

from __future__ import annotations

import json

from benchmarks import remote_classification as bench
from service.processes.lending.clip_jpeg import QUALITY


def test_table_in_the_docs_is_that_of_the_results():
    content = json.loads(bench.RESULTS.read_text("utf-8"))
    assert bench.tables(content) in bench.DOCUMENT.read_text("utf-8")


def test_quality_that_is_used_changes_no_label_and_little_else():
    content = json.loads(bench.RESULTS.read_text("utf-8"))
    used = [row for row in content["rows"] if row["quality"] == QUALITY]
    assert {row["network"] for row in used} == {bench.LIGHT, bench.FULL}
    assert all(row["equal"] >= 0.98 and row["largest"] < 0.1 and row["bytes"] < row["raw"] / 10 for row in used)
