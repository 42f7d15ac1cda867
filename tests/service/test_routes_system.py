"""How the whole service does: for those who see everything, and for those who see one stream."""

from __future__ import annotations

import time

import pytest

from service.budget.costs import Cost
from service.budget.plan import UNLIMITED_HZ, BudgetView, Plan, Tier
from tests.service.conftest import RunningApi
from tests.service.test_routes_recordings import add_recording

PLAN = Plan(Tier.LIGHT, 0.64, 1.28, 480, UNLIMITED_HZ, "1 cameras, 2 people: 1.3 of 1.6 free cores")
VIEW = BudgetView(3, 18, PLAN, 2.0, 0.25, 1.6, 1.3, 1, 2.04, {"clip:m": Cost(0.5, 0.6), "detect:640": Cost(0.03, 0.04)})


def test_admin_is_told_of_the_machine_and_of_every_stream(api: RunningApi):
    api.supervisor.plan = VIEW
    gate = api.add(name="Gate")
    recording = add_recording(api)
    system = api.client.get("/v1/system").json()
    assert [stream["name"] for stream in system["streams"]] == ["Gate"]
    assert system["streams"][0] == api.client.get(f"/v1/streams/{gate['id']}").json()
    (stored,) = system["recorded"]
    assert (stored["stream_id"], stored["files"], stored["bytes"]) == (recording["stream_id"], 1, recording["bytes"])
    assert (stored["oldest_at"], stored["newest_at"]) == (recording["started_at"], recording["ended_at"])
    machine = system["machine"]
    budget = machine["budget"]
    assert (budget["step"], budget["steps"], budget["tier"], budget["detections_per_s"]) == (3, 18, "light", None)
    assert (budget["need"], budget["capacity"], budget["cores"], budget["taken"]) == (1.3, 1.6, 2.0, 0.25)
    assert [(each["work"], each["cpu_s"]) for each in budget["costs"]] == [("clip:m", 0.5), ("detect:640", 0.03)]
    assert machine["inference"]["parts"] == {"model:surveillance": "scripted"}
    assert machine["database"]["bytes"] > 1000
    assert machine["disk"]["size_bytes"] > machine["disk"]["free_bytes"] > 0
    assert machine["queues"]["inference_clip_queue_depth"] == 2
    assert machine["counters"]["inference_clips_total"] == 40
    assert "inference_crashes_total" not in machine["counters"], "nothing to tell"


def test_machine_that_has_planned_nothing_yet_says_so(api: RunningApi):
    machine = api.client.get("/v1/system").json()["machine"]
    assert machine["budget"] is None
    assert machine["retention"]["max_age_days"] == api.settings.recordings_max_age_days


@pytest.mark.parametrize(("streams", "names"), [("one", ["Gate"]), ("none", [])])
def test_whoever_sees_some_streams_is_told_of_those_alone(api: RunningApi, streams: str, names: list[str]):
    api.supervisor.plan = VIEW
    gate = api.add(name="Gate")["id"]
    api.add(name="Yard")
    add_recording(api)  # of a stream that is neither
    seen = gate if streams == "one" else "str_00000000000000ff"
    client = api.visitor(token=api.add_token(streams=seen)["token"])
    answer = client.get("/v1/system")
    system = answer.json()
    assert [stream["name"] for stream in system["streams"]] == names
    assert system["machine"] is None and system["recorded"] == [] and system["incidents"] == 0
    assert "free cores" not in answer.text


def test_service_says_since_when_it_runs(api: RunningApi):
    started = api.client.get("/v1/system").json()["started_at"]
    assert started < time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
