"""deploy/: Prometheus' own tool reads the rules and plays them through; every name in them is one that is exported."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # comes with ultralytics, without types

from tests.support.places import REPOSITORY

DEPLOY = REPOSITORY / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboards" / "actoscope.json").read_text())
RULES = yaml.safe_load((PROMETHEUS / "actoscope.rules.yml").read_text())["groups"][0]["rules"]
METRIC = re.compile(r"\bactoscope_([a-z_]+)")
PREFIXES = ("", "inference_", "audit_", "tls_")
HISTOGRAMS = {"stage_seconds": "stage", "label_latency_seconds": "label_latency"}


def promtool(*words: str) -> str:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    done = subprocess.run([program, *words], cwd=PROMETHEUS, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_takes_rules_and_configuration():
    assert f"{len(RULES)} rules found" in promtool("check", "rules", "actoscope.rules.yml")
    promtool("check", "config", "prometheus.yml")


def test_rules_fire_when_they_should_and_not_before():
    assert "SUCCESS" in promtool("test", "rules", "actoscope.rules.test.yml")


def test_every_rule_is_played_through():
    played = yaml.safe_load((PROMETHEUS / "actoscope.rules.test.yml").read_text())["tests"]
    fired = {check["alertname"] for test in played for check in test["alert_rule_test"] if check["exp_alerts"]}
    assert fired == {rule["alert"] for rule in RULES}


def anchors(page: str) -> set[str]:
    """As they are made of headings: small letters, digits, hyphens for blanks."""
    titles = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_rule_says_how_bad_it_is_and_where_to_read_what_to_do(rule: dict[str, Any]):
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert rule["annotations"]["summary"]
    assert re.fullmatch(r"\d+[mh]", rule["for"])
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert anchor in anchors((REPOSITORY / page).read_text())


def measured_names() -> set[str]:
    """Every text in the source that ends as the name of a counter, a gauge or a histogram (``drops_total:source``)."""
    names: set[str] = set()
    for path in (REPOSITORY / "service").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                names.add(node.value.partition(":")[0])
    return names


def queries() -> Iterator[tuple[str, str]]:
    yield from ((rule["alert"], rule["expr"]) for rule in RULES)
    for panel in DASHBOARD["panels"]:
        yield from ((panel["title"], target["expr"]) for target in panel["targets"])


def is_exported(metric: str, names: set[str]) -> bool:
    bare = re.sub(r"_(bucket|sum|count)$", "", metric)
    for prefix in PREFIXES:
        name = bare.removeprefix(prefix)
        if bare.startswith(prefix) and (name in names or HISTOGRAMS.get(name) in names):
            return True
    return False


def test_every_metric_of_rules_and_dashboard_is_exported():
    names = measured_names()
    unknown = {
        (where, metric)
        for where, query in queries()
        for metric in METRIC.findall(query)
        if not is_exported(metric, names)
    }
    if not (REPOSITORY / "service" / "sinks" / "dispatcher.py").exists():  # a checkout without sinks has no outbox
        unknown = {(where, metric) for where, metric in unknown if not metric.startswith(("outbox_", "deliveries_"))}
    assert unknown == set()
    assert not is_exported("no_such_metric", names)


def test_every_rule_s_metric_is_on_the_dashboard_or_says_why_not():
    shown = {metric for panel in DASHBOARD["panels"] for t in panel["targets"] for metric in METRIC.findall(t["expr"])}
    asked = {metric for rule in RULES for metric in METRIC.findall(rule["expr"])}
    rare = {
        "messages_lost_total",
        "recording_paused",
        "recordings_crowded",
        "bucket_uploads_oldest_seconds",
        "bucket_missing",
        "tls_refused_total",
        "disk_size_bytes",
        "sinks_disabled",
    }  # mostly zero
    assert asked - shown == rare


@pytest.mark.parametrize("panel", DASHBOARD["panels"], ids=lambda panel: panel["title"])
def test_panels_are_as_grafana_s_schema_wants_them(panel: dict[str, Any]):
    """Of dashboard schema 39: what a panel must have, and kinds that are there without a plug-in."""
    assert panel["type"] in ("stat", "timeseries")
    assert panel["datasource"] == {"type": "prometheus", "uid": "actoscope"}
    assert [target["refId"] for target in panel["targets"]] == list("ABCDEF"[: len(panel["targets"])])
    assert panel["targets"] and all(t["expr"] and t["legendFormat"] for t in panel["targets"])
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert steps[0]["value"] is None and panel["fieldConfig"]["overrides"] == []
    place = panel["gridPos"]
    assert place["x"] + place["w"] <= 24 and min(place["w"], place["h"]) > 0


def test_panels_have_ids_of_their_own_and_do_not_cover_each_other():
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for one, two in combinations([panel["gridPos"] for panel in panels], 2):
        apart_x = one["x"] + one["w"] <= two["x"] or two["x"] + two["w"] <= one["x"]
        apart_y = one["y"] + one["h"] <= two["y"] or two["y"] + two["h"] <= one["y"]
        assert apart_x or apart_y, (one, two)


def test_queries_are_promql(tmp_path: Path):
    """Prometheus' tool reads each of the dashboard's as a rule of its own."""
    rules = [{"record": f"dashboard:{n}", "expr": query} for n, (_, query) in enumerate(queries())]
    path = tmp_path / "dashboard.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", str(path))


def test_grafana_is_told_of_one_source_and_one_folder():
    provisioning = DEPLOY / "grafana" / "provisioning"
    sources = yaml.safe_load((provisioning / "datasources" / "actoscope.yaml").read_text())
    boards = yaml.safe_load((provisioning / "dashboards" / "actoscope.yaml").read_text())
    assert sources["apiVersion"] == boards["apiVersion"] == 1
    assert [(each["uid"], each["type"]) for each in sources["datasources"]] == [("actoscope", "prometheus")]
    assert [each["type"] for each in boards["providers"]] == ["file"]
    assert boards["providers"][0]["options"]["path"]
    assert (DASHBOARD["uid"], DASHBOARD["schemaVersion"]) == ("actoscope", 39)
