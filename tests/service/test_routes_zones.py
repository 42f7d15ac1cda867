"""/v1/streams/{id}/zones over the real store."""

import math
from typing import Any

import pytest

from pipeline.entities import Zone
from tests.service.conftest import RunningApi, action
from tests.service.test_routes_streams import problem

GATE = {"name": "gate", "polygon": [[0.1, 0.5], [0.6, 0.5], [0.6, 1.0]]}
YARD = {"name": "yard", "polygon": [[0.0, 0.0], [1.0, 0.0], [1.0, 0.5], [0.0, 0.5]]}


def put(api: RunningApi, stream_id: str, *zones: dict[str, Any], **headers: str) -> Any:
    return api.client.put(f"/v1/streams/{stream_id}/zones", json={"zones": list(zones)}, headers=headers)


def test_zones_are_replaced_as_a_whole_and_the_stream_is_told_but_not_started_anew(shared_api: RunningApi):
    stream_id = shared_api.add()["id"]
    path = f"/v1/streams/{stream_id}/zones"
    assert shared_api.client.get(path).json() == {"zones": []}
    assert put(shared_api, stream_id, GATE).json() == {"zones": [GATE]}
    answer = put(shared_api, stream_id, YARD, GATE)
    assert (answer.status_code, answer.json()) == (200, {"zones": [YARD, GATE]})
    read = shared_api.client.get(path)
    assert (read.json(), read.headers["etag"]) == (answer.json(), answer.headers["etag"])
    assert [name for name, _ in shared_api.supervisor.calls] == ["start", "set_zones", "set_zones"]
    assert [zone.name for zone in shared_api.supervisor.zones[stream_id]] == ["yard", "gate"]
    assert shared_api.supervisor.zones[stream_id][1] == Zone("gate", ((0.1, 0.5), (0.6, 0.5), (0.6, 1.0)))


def test_change_of_zones_that_somebody_else_changed_is_refused(shared_api: RunningApi):
    stream_id = shared_api.add()["id"]
    first = put(shared_api, stream_id, GATE).headers["etag"]
    second = put(shared_api, stream_id, YARD, **{"If-Match": f'"other", {first}'})
    assert second.status_code == 200
    assert "read them again" in problem(put(shared_api, stream_id, GATE, **{"If-Match": first}), 412)["detail"]
    assert problem(put(shared_api, stream_id, GATE, **{"If-Match": f"W/{second.headers['etag']}"}), 412)
    assert problem(put(shared_api, stream_id, GATE, **{"If-Match": "gate"}), 422)["errors"][0]["field"] == "if-match"
    assert shared_api.client.get(f"/v1/streams/{stream_id}/zones").json() == {"zones": [YARD]}
    assert put(shared_api, stream_id, GATE, **{"If-Match": "*"}).status_code == 200


def test_zones_go_with_their_stream_and_unknown_streams_have_none(shared_api: RunningApi):
    stream_id = shared_api.add()["id"]
    put(shared_api, stream_id, GATE)
    shared_api.client.delete(f"/v1/streams/{stream_id}")
    for unknown in (stream_id, "str_0000000000000009", "gate"):
        problem(shared_api.client.get(f"/v1/streams/{unknown}/zones"), 404)
        problem(put(shared_api, unknown, GATE), 404)


@pytest.mark.parametrize(
    ("body", "field", "expected"),
    [
        ({}, "zones", "a value"),
        ({"zones": [{**GATE, "color": "red"}]}, "zones.0.color", "only known fields"),
        ({"zones": [{**GATE, "name": " "}]}, "zones.0.name", "a name with at least one sign"),
        ({"zones": [{**GATE, "name": "a\n"}]}, "zones.0.name", "string should match"),
        ({"zones": [GATE, {**YARD, "name": "GATE"}]}, "zones", "names that differ in more than case"),
        ({"zones": [{**GATE, "polygon": [[0, 0], [1, 1]]}]}, "zones.0.polygon", "3 to 32 points"),
        ({"zones": [{**GATE, "polygon": [[0, 0], [1, 2], [1, 0]]}]}, "zones.0.polygon", "points in 0..1"),
        (
            {"zones": [{**GATE, "polygon": [[0, 0], [1, 1], [1, 0], [0, 1]]}]},
            "zones.0.polygon",
            "edges that do not cross",
        ),
        ({"zones": [{**GATE, "polygon": [[0, 0], [1, "x"], [1, 0]]}]}, "zones.0.polygon.1.1", "a valid number"),
        (
            {"zones": [{**GATE, "polygon": [[0, 0, 0], [1, 1], [1, 0]]}]},
            "zones.0.polygon.0",
            "tuple should have at most 2",
        ),
        ({"zones": [{**GATE, "name": str(n)} for n in range(33)]}, "zones", "list should have at most 32 items"),
    ],
)
def test_zones_that_cannot_be_are_refused_naming_the_field(
    shared_api: RunningApi, body: Any, field: str, expected: str
):
    stream_id = shared_api.add()["id"]
    answer = problem(shared_api.client.put(f"/v1/streams/{stream_id}/zones", json=body), 422)
    assert answer["errors"][0]["field"] == field
    assert expected in answer["errors"][0]["expected"]
    assert stream_id not in shared_api.supervisor.zones


def test_largest_zones_fit_into_a_body(shared_api: RunningApi):
    circle = [
        [0.5 + 0.4 * math.cos(n / 32 * 2 * math.pi), 0.5 + 0.4 * math.sin(n / 32 * 2 * math.pi)] for n in range(32)
    ]
    answer = put(shared_api, shared_api.add()["id"], *({"name": f"zone {n}", "polygon": circle} for n in range(32)))
    assert answer.status_code == 200
    assert answer.json()["zones"][31]["polygon"][1] == [0.892314, 0.578036]


def test_events_are_found_by_zone(api: RunningApi):
    async def fill() -> None:
        await api.context.hub.publish_action(action("evt_1", zones=["gate"]))
        await api.context.hub.publish_action(action("evt_2", zones=[]))
        await api.context.hub.flush()

    api.call(fill())
    found = api.client.get("/v1/events?zone=gate&zone=yard").json()["items"]
    assert [(event["id"], event["zones"]) for event in found] == [("evt_1", ["gate"])]
