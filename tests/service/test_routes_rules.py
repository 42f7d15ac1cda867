"""/v1/rules over the real store: what may be asked for, what is told of it, snooze, dry run."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy import insert

from service.storage.alert_tables import SinkRow
from service.wire_messages import rfc3339
from tests.service.conftest import RunningApi
from tests.service.test_routes_streams import problem

SINK = "snk_00000000000000aa"
RULE: dict[str, Any] = {"name": "Push ups", "actions": {"push up": 0.8}}


def add_sink(api: RunningApi, sink_id: str = SINK, **config: Any) -> None:
    values = {"id": sink_id, "kind": "webhook", "name": "x", "config": config, "enabled": True, "created_at": 1.0}
    api.call(api.context.database.write(lambda session: session.execute(insert(SinkRow).values(**values))))


def add_rule(api: RunningApi, **changes: Any) -> dict[str, Any]:
    answer = api.client.post("/v1/rules", json={**RULE, **changes})
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == f"/v1/rules/{answer.json()['id']}"
    return dict(answer.json())


def test_rule_of_the_docs_is_accepted_and_shown_as_it_was_given(api: RunningApi):
    add_sink(api)
    stream = api.add()["id"]
    given = {
        "name": "Fight at the gate",
        "enabled": True,
        "severity": "alert",
        "streams": [stream],
        "actions": {"squat": 0.8},
        "zones": {"any": ["gate"]},
        "dwell_s": 3,
        "consensus": {"clips": 3, "share": 0.6},
        "group_s": 15,
        "cooldown_s": 120,
        "max_per_hour": 20,
        "schedule": {"timezone": "Europe/Berlin", "windows": [{"days": "mon-fri", "from": "22:00", "to": "06:00"}]},
        "clip": {"pre_s": 5, "post_s": 5},
        "sinks": [SINK],
    }
    rule = add_rule(api, **given)
    assert {name: rule[name] for name in given} == given
    assert rule["problems"] == [{"field": "zones.any", "problem": "no stream of the rule has a zone gate"}]
    assert api.client.get(f"/v1/rules/{rule['id']}").json() == rule
    assert api.client.get("/v1/rules").json()["items"] == [rule]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, "actions"),
        ({"actions": {}}, "actions"),
        ({"actions": {"push up": 1.5}}, "less than or equal to 1"),
        ({"kind": "dwell"}, "actions only with kind action"),
        ({"kind": "dwell", "actions": None, "dwell_s": 5}, "zones and dwell_s"),
        ({"kind": "absence", "actions": None}, "for_s above 0"),
        ({"kind": "absence", "actions": None, "for_s": 5, "dwell_s": 5}, "dwell_s only with kind action or dwell"),
        ({"kind": "count", "actions": None}, "more_than"),
        ({"consensus": {"clips": 9}}, "less than or equal to 8"),
        ({"schedule": {"timezone": "Berlin", "windows": [{"from": "22:00", "to": "06:00"}]}}, "Europe/Berlin or UTC"),
        ({"schedule": {"windows": [{"days": "mon-xyz", "from": "22:00", "to": "06:00"}]}}, "mon-fri or sat,sun"),
        ({"schedule": {"windows": [{"from": "24:00", "to": "06:00"}]}}, "a time such as 22:30"),
        ({"schedule": {"windows": []}}, "at least 1 item"),
        ({"zones": {"any": []}}, "at least 1 item"),
        ({"cooldown": 5}, "only known fields"),
        ({"streams": ["gate"]}, "match pattern"),
        ({"streams": ["str_00000000000000ff"]}, "the id of a stream"),
        ({"sinks": ["snk_00000000000000ff"]}, "the id of a sink"),
    ],
)
def test_rule_that_cannot_be_is_refused_saying_what_was_expected(
    shared_api: RunningApi, body: dict[str, Any], expected: str
):
    given = {"name": "x", **({} if "actions" in body or not body else RULE), **body}
    answer = problem(shared_api.client.post("/v1/rules", json=given), 422)
    assert expected in answer["detail"]
    assert shared_api.client.get("/v1/rules").json()["items"] == []


def test_labels_that_a_network_lacks_are_told_not_refused(api: RunningApi):
    add_sink(api)
    stream = api.add(actions={"squat": 0.5})["id"]
    rule = add_rule(api, actions={"Fighting": 0.8, "push up": 0.5, "squat": 0.5}, sinks=[SINK])
    told = {each["field"]: each["problem"] for each in rule["problems"]}
    assert set(told) == {"actions.Fighting", "actions.push up"}
    assert told["actions.Fighting"].startswith(f"expected a label of surveillance, the network of stream {stream}")
    assert told["actions.push up"] == f"stream {stream} does not watch for it"


def test_rule_changes_in_part_and_keeps_its_problems_in_view(api: RunningApi):
    stream = api.add()["id"]
    rule = add_rule(api, streams=[stream])
    answer = api.client.patch(f"/v1/rules/{rule['id']}", json={"enabled": False, "cooldown_s": 5})
    assert answer.json() == {**rule, "enabled": False, "cooldown_s": 5, "armed": False}
    api.client.delete(f"/v1/streams/{stream}")
    again = api.client.patch(f"/v1/rules/{rule['id']}", json={"name": "Renamed"}).json()
    assert again["problems"] == [{"field": "streams", "problem": f"there is no stream {stream}"}]
    assert "only known fields" in problem(api.client.patch(f"/v1/rules/{rule['id']}", json={"x": 1}), 422)["detail"]
    assert problem(api.client.patch(f"/v1/rules/{rule['id']}", json={"kind": "count"}), 422)


def test_rule_is_deleted_and_unknown_ones_are_not_found(api: RunningApi):
    rule = add_rule(api)
    assert api.client.delete(f"/v1/rules/{rule['id']}").status_code == 204
    for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("DELETE", "/snooze")):
        for unknown in (rule["id"], "rul_x"):
            body: dict[str, Any] | None = {} if method == "PATCH" else None
            assert problem(api.client.request(method, f"/v1/rules/{unknown}{path}", json=body), 404)


def test_snooze_is_until_a_time_or_for_minutes_and_ends_early(api: RunningApi):
    path = f"/v1/rules/{add_rule(api)['id']}/snooze"
    until = rfc3339(time.time() + 600)
    snoozed = api.client.post(path, json={"until": until}).json()
    assert (snoozed["snoozed_until"], snoozed["armed"]) == (until, False)
    assert api.client.post(path, json={"minutes": 5}).json()["snoozed_until"] < until
    freed = api.client.delete(path).json()
    assert (freed["snoozed_until"], freed["armed"]) == (None, True)


@pytest.mark.parametrize("body", [{}, {"minutes": 5, "until": "2099-01-01T00:00:00Z"}, {"minutes": 0}])
def test_snooze_wants_one_of_both(api: RunningApi, body: dict[str, Any]):
    assert problem(api.client.post(f"/v1/rules/{add_rule(api)['id']}/snooze", json=body), 422)


@pytest.mark.parametrize("until", ["2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"])
def test_snooze_is_for_31_days_at_most_from_now_on(api: RunningApi, until: str):
    answer = problem(api.client.post(f"/v1/rules/{add_rule(api)['id']}/snooze", json={"until": until}), 422)
    assert "at most 31 days" in answer["detail"]
