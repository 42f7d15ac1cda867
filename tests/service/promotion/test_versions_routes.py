"""Versions over the API: listed, tried, promoted, refused, rolled back; what is audited; what nobody asked for."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pipeline.files import file_sha256
from service.errors_base import Unavailable
from service.rights import ALL
from service.settings import Settings
from service.versions.pointer import Pointers, VersionChange
from service.versions.tally import ShadowTally
from service.wire_messages import rfc3339
from tests.service.conftest import MODEL, RunningApi, action, write_model
from tests.support.service import wait_for

NEXT = f"{MODEL}@2"
GATE = {"passed": True, "checks": [{"name": "base", "passed": True, "words": "as good as before"}], "missing": []}
REFUSED = {
    "passed": False,
    "checks": [{"name": "audit", "passed": False, "words": "worse on the audit sample"}],
    "missing": ["38 more from Gate"],
}
PATH = f"/v1/models/{MODEL}"


def add_version(
    settings: Settings, number: int, gate: dict[str, Any] | None = GATE, parent: str = "", **changes: Any
) -> str:
    """A version whose checksums are right."""
    folder = settings.weights_dir / (MODEL if number == 1 else f"{MODEL}@{number}")
    if number > 1:
        write_model(folder, **changes)
    (folder / "model.keras").write_bytes(b"weights %d" % number)
    card = json.loads((folder / "card.json").read_text())
    card["parent"] = parent
    card["sha256"] = {name: file_sha256(folder / name) for name in ("labels.txt", "model.keras")}
    (folder / "card.json").write_text(json.dumps(card))
    if gate is not None:
        (folder / "gate.json").write_text(json.dumps(gate))
    return folder.name


@pytest.fixture
def api(settings: Settings, run_api: Callable[..., RunningApi]) -> RunningApi:
    add_version(settings, 1, None)
    add_version(settings, 2)
    return run_api()


def versions(api: RunningApi) -> dict[str, str]:
    items = api.client.get(f"{PATH}/versions").json()["items"]
    return {item["version"]: item["state"] for item in items}


def post(api: RunningApi, what: str, **body: Any) -> Any:
    return api.client.post(f"{PATH}/{what}", json=body)


def audited(api: RunningApi) -> list[tuple[str, str, str]]:
    rows = api.client.get("/v1/audit").json()["items"]
    return [(row["action"], row["object"], row["result"]) for row in rows if row["action"].startswith("models:")]


def test_versions_are_listed_newest_first_with_their_gate(api: RunningApi):
    newest, first = api.client.get(f"{PATH}/versions").json()["items"]
    assert (newest["version"], newest["number"], newest["state"], newest["gate"]) == (NEXT, 2, "passed", GATE)
    assert (first["version"], first["number"], first["state"], first["gate"]) == (MODEL, 1, "serving", None)
    assert [item["id"] for item in api.client.get("/v1/models").json()["items"]] == [MODEL]
    assert api.client.get("/v1/models/nothing/versions").status_code == 404
    assert api.client.get(f"/v1/models/{NEXT}/versions").status_code == 404, "a version is no model of its own"


def test_what_a_gate_said_in_words_is_for_those_who_see_all_streams(api: RunningApi):
    add_version(api.settings, 3, REFUSED)
    token = api.add_token(streams=api.add()["id"])["token"]
    limited, whole = (api.visitor(token=each) for each in (token, api.add_token()["token"]))
    third, second, _ = limited.get(f"{PATH}/versions").json()["items"]
    silent = {"name": "audit", "passed": False, "words": ""}
    assert third["gate"] == {"passed": False, "checks": [silent], "missing": []}
    assert (third["state"], second["gate"]["passed"]) == ("refused", True)
    assert whole.get(f"{PATH}/versions").json()["items"][0]["gate"] == REFUSED


def test_promotion_loads_first_then_is_written_down_then_told(api: RunningApi):
    stream = api.add()
    answer = post(api, "promote", version=NEXT, reason="better at the gate")
    assert (answer.status_code, answer.json()["version"], answer.json()["state"]) == (200, NEXT, "serving")
    assert api.supervisor.models.calls == [("load", MODEL, NEXT), ("follow", MODEL)]
    assert versions(api) == {NEXT: "serving", MODEL: "former"}
    assert Pointers.of(api.settings).serving(MODEL) == NEXT
    assert api.client.get("/v1/models").json()["items"][0]["version"] == NEXT
    assert audited(api) == [("models:promote", NEXT, "ok")]
    ((message,),) = [api.call(api.context.store.replay((0, 10**6), 9, ALL, (stream["id"],)))]
    assert (message["code"], message["reason"]) == ("model", f"{NEXT} answers from now on: promoted by local")
    assert "actoscope_model_promotions_total 1.0" in api.client.get("/metrics").text
    assert post(api, "promote", version=NEXT).status_code == 409, "it serves already"


def test_roll_back_goes_to_the_former_and_can_be_undone(api: RunningApi):
    assert post(api, "rollback", reason="").status_code == 409, "nothing served before"
    assert post(api, "promote", version=NEXT).json()["rolls_back_to"] == MODEL
    answer = post(api, "rollback", reason="too many alerts")
    assert (answer.status_code, answer.json()["version"], answer.json()["rolls_back_to"]) == (200, MODEL, None)
    assert post(api, "rollback", reason="").status_code == 409, "what was rolled back from is not gone back to"
    assert versions(api) == {NEXT: "former", MODEL: "serving"}
    assert post(api, "promote", version=NEXT).status_code == 200
    assert [each[0] for each in audited(api)] == ["models:promote", "models:rollback", "models:promote"]


@pytest.mark.parametrize(
    ("gate", "words"),
    [(None, "no gate has compared it"), (REFUSED, "worse on the audit sample; too few labels: 38 more from Gate")],
)
def test_version_that_the_gate_did_not_pass_is_refused_unless_forced_with_a_reason(
    api: RunningApi, gate: dict[str, Any] | None, words: str
):
    third = add_version(api.settings, 3, gate)
    refused = post(api, "promote", version=third, reason="I like it")
    assert refused.status_code == 409 and words in refused.json()["detail"]
    assert post(api, "promote", version=third, force=True, reason=" ").status_code == 422
    assert versions(api)[third] == "refused" and api.supervisor.models.calls == []
    forced = post(api, "promote", version=third, force=True, reason="I like it")
    assert forced.status_code == 200 and forced.json()["forced"] is True
    post(api, "rollback", reason="")
    assert versions(api)[third] == "forced"
    assert audited(api)[:3] == [
        ("models:rollback", MODEL, "ok"),
        ("models:promote", third, "ok"),
        ("models:promote", third, "refused"),
    ]


def test_version_that_the_gate_compared_with_another_one_than_serves_is_refused_unless_forced(api: RunningApi):
    third = add_version(api.settings, 3, parent=MODEL)
    assert post(api, "promote", version=NEXT).status_code == 200
    refused = post(api, "promote", version=third)
    assert refused.status_code == 409
    assert f"the gate compared it with {MODEL}, and {NEXT} serves" in refused.json()["detail"]
    assert post(api, "promote", version=third, force=True, reason="seen in the shadow").json()["forced"] is True
    post(api, "rollback", reason="")
    post(api, "rollback", reason="")
    assert versions(api)[MODEL] == "serving"
    assert post(api, "promote", version=third).status_code == 200, "it was compared with the one that serves"


@pytest.mark.parametrize("who", ["stream", "rule"])
def test_version_without_a_label_that_is_in_use_is_refused_unless_forced(api: RunningApi, who: str):
    third = add_version(api.settings, 3, labels=("push up", "squat", "running"))
    api.add(actions={"playing cricket": 0.5} if who == "stream" else None)
    if who == "rule":
        assert api.client.post("/v1/rules", json={"name": "r", "actions": {"playing cricket": 0.5}}).status_code == 201
    refused = post(api, "promote", version=third)
    assert refused.status_code == 409 and "playing cricket" in refused.json()["detail"]
    assert post(api, "promote", version=third, force=True, reason="no cricket here").status_code == 200


def test_version_that_cannot_be_loaded_leaves_the_former_serving_and_is_remembered(api: RunningApi):
    api.supervisor.models.problem = f"{NEXT} cannot be loaded: out of memory"
    failed = post(api, "promote", version=NEXT)
    assert failed.status_code == 503 and "out of memory" in failed.json()["detail"]
    assert f"{MODEL} goes on serving" in failed.json()["detail"]
    assert versions(api) == {NEXT: "passed", MODEL: "serving"}
    assert audited(api) == [("models:promote", NEXT, "failed")]
    assert [each.what for each in Pointers.of(api.settings).read(MODEL).history] == ["failed"]
    assert 'actoscope_model_rollbacks_total{cause="load"} 1.0' in api.client.get("/metrics").text


def test_version_whose_file_was_damaged_is_not_even_loaded(api: RunningApi):
    (api.settings.weights_dir / NEXT / "model.keras").write_bytes(b"other weights")
    failed = post(api, "promote", version=NEXT)
    assert failed.status_code == 503 and "is damaged" in failed.json()["detail"]
    assert api.supervisor.models.calls == []


def test_names_that_are_no_versions_of_the_model_are_refused(api: RunningApi):
    assert post(api, "promote", version="other@2").status_code == 422
    assert post(api, "promote", version=f"{MODEL}@9").status_code == 404
    assert post(api, "shadow", version=f"{MODEL}@9").status_code == 404
    assert api.client.post("/v1/models/..%2F..%2Fetc/promote", json={"version": "x"}).status_code == 404
    assert post(api, "promote", version=NEXT, more=1).status_code == 422


def test_stream_may_name_one_version_and_gets_labels_of_what_serves_otherwise(api: RunningApi):
    third = add_version(api.settings, 3, labels=("push up", "running"))
    assert api.add(model=third, actions={"running": 0.5})["model"] == third
    assert api.client.post("/v1/streams", json={"url": "rtsp://h/", "actions": {"running": 0.5}}).status_code == 422
    post(api, "promote", version=third, force=True, reason="a test")
    assert api.client.post("/v1/streams", json={"url": "rtsp://h/", "actions": {"running": 0.5}}).status_code == 201


def test_version_is_tried_and_its_trial_told_to_those_who_see_the_streams(api: RunningApi):
    stream, other = api.add(), api.add()
    assert post(api, "shadow", version=MODEL).status_code == 409, "it serves"
    begun = post(api, "shadow", version=NEXT)
    assert begun.status_code == 200 and begun.json()["why"] == "it takes 200 more clips and 24.0 more hours"
    assert api.supervisor.models.calls == [("follow", MODEL)]
    assert versions(api)[NEXT] == "shadow"
    tally = ShadowTally(NEXT, 3600.0, 300, 240, {}, {"squat": (0,) * 9 + (2,)}, {}, ())
    for each in (stream, other):
        api.call(api.supervisor.models.on_tally(each["id"], tally))
    api.client.post("/v1/rules", json={"name": "r", "actions": {"squat": 0.5}, "streams": [stream["id"]]})
    shown = api.client.get(f"{PATH}/shadow").json()
    assert (shown["clips"], shown["agreement"], shown["ready"]) == (600, 0.8, False)
    by_id = {each["id"]: each["alerts_a_day_challenger"] for each in shown["by_stream"]}
    assert by_id == {stream["id"]: 48.0, other["id"]: 0.0}
    token = api.add_token(streams=other["id"])["token"]
    seen = api.visitor(token=token).get(f"{PATH}/shadow").json()
    assert [each["id"] for each in seen["by_stream"]] == [other["id"]] and seen["clips"] == 300
    assert post(api, "shadow", version=None).json() is None
    assert versions(api)[NEXT] == "passed"


def test_trial_that_cannot_go_on_is_ended_and_audited(api: RunningApi):
    post(api, "shadow", version=NEXT)
    api.loop.call_soon_threadsafe(api.supervisor.models.on_shadow_failed, MODEL, "it is damaged")
    wait_for(lambda: versions(api)[NEXT] == "passed", 5, "it is tried no more")
    wait_for(lambda: audited(api)[0] == ("models:shadow", NEXT, "failed"), 5, "it is audited")


def promoted(api: RunningApi, forecast: float | None, ago_s: float) -> None:
    """Days after the streams and rules were made that there are."""
    pointers, desk = Pointers.of(api.settings), api.context.promotions
    desk._clock = lambda: time.time() + 5 * 86400
    change = VersionChange("promoted", NEXT, MODEL, desk._clock() - ago_s, "nina", "", forecast=forecast)
    pointers.write(pointers.read(MODEL).with_change(change))


@pytest.mark.parametrize(
    ("forecast", "ago_s", "events", "serves"),
    [
        (24.0, 3600, 11, MODEL),  # one an hour was foretold, eleven came
        (24.0, 3600, 10, NEXT),  # so few that they say nothing
        (24.0 * 5, 3600, 15, NEXT),  # three times as many as foretold
        (None, 3600, 15, NEXT),  # it was never tried
        (24.0, 2 * 86400, 15, NEXT),  # long ago
    ],
)
def test_version_that_tells_far_more_than_was_foretold_is_rolled_back_by_itself(
    api: RunningApi, forecast: float | None, ago_s: float, events: int, serves: str
):
    stream = api.add()
    api.client.post("/v1/rules", json={"name": "r", "actions": {"push up": 0.5}})
    promoted(api, forecast, ago_s)
    tell_events(api, stream["id"], events)
    api.call(api.context.promotions.check())
    assert Pointers.of(api.settings).serving(MODEL) == serves
    if serves == MODEL:
        assert audited(api)[0] == ("models:rollback", MODEL, "ok")
        assert 'actoscope_model_rollbacks_total{cause="alerts"} 1.0' in api.client.get("/metrics").text
        api.call(api.context.promotions.check())
        assert len(Pointers.of(api.settings).read(MODEL).history) == 2, "once"


@pytest.mark.parametrize("later", ["stream", "rule"])
def test_alerts_of_what_was_made_after_the_promotion_are_not_held_against_it(api: RunningApi, later: str):
    """Nothing was foretold of them."""
    rule = {"name": "r", "actions": {"push up": 0.5}}
    stream = api.add() if later == "rule" else None
    if later == "stream":
        api.client.post("/v1/rules", json=rule)
    desk = api.context.promotions
    promoted(api, 24.0, 5 * 86400)  # now
    stream = stream or api.add()
    api.client.post("/v1/rules", json=rule)
    desk._clock = lambda: time.time() + 3600
    tell_events(api, stream["id"], 11)
    api.call(desk.check())
    assert Pointers.of(api.settings).serving(MODEL) == NEXT


def tell_events(api: RunningApi, stream_id: str, count: int) -> None:
    now = rfc3339(api.context.promotions._clock() - 60)
    for number in range(count):
        message = action(f"evt_{number}", stream_id=stream_id, captured_at=now, model=NEXT)
        api.call(api.context.hub.publish_action(message))
    api.call(api.context.hub.flush())


@pytest.mark.parametrize(("clips", "forecast"), [(199, None), (200, 48.0)])
def test_trial_that_was_not_long_enough_foretells_nothing(api: RunningApi, clips: int, forecast: float | None):
    stream = api.add()
    api.client.post("/v1/rules", json={"name": "r", "actions": {"squat": 0.5}})
    post(api, "shadow", version=NEXT)
    tally = ShadowTally(NEXT, 3600.0, clips, clips, {}, {"squat": (0,) * 9 + (2,)}, {}, ())
    api.call(api.supervisor.models.on_tally(stream["id"], tally))
    api.context.promotions._clock = lambda: time.time() + 25 * 3600
    assert post(api, "promote", version=NEXT).status_code == 200
    assert Pointers.of(api.settings).read(MODEL).history[-1].forecast == forecast


def test_roll_back_while_nothing_can_be_loaded_is_written_down_for_the_next_process(api: RunningApi):
    """What serves may be what keeps it from starting."""
    post(api, "promote", version=NEXT)
    api.supervisor.is_ready, api.supervisor.models.problem = False, "the inference process is not ready"
    api.supervisor.models.calls.clear()
    assert post(api, "rollback", reason="it crashes").status_code == 200
    assert api.supervisor.models.calls == [("make_way",), ("follow", MODEL)]
    assert Pointers.of(api.settings).serving(MODEL) == MODEL
    assert post(api, "promote", version=NEXT).status_code == 503, "a promotion loads first"


def test_roll_back_waits_for_no_version_that_is_loaded(api: RunningApi):
    add_version(api.settings, 3, parent=NEXT)
    post(api, "promote", version=NEXT)
    models = api.supervisor.models
    models.loads_for_ever = True
    with ThreadPoolExecutor(1) as pool:
        promotion = pool.submit(post, api, "promote", version=f"{MODEL}@3")
        wait_for(lambda: models.calls[-1] == ("load", MODEL, f"{MODEL}@3"), 10, "it is loaded")
        models.loads_for_ever = False
        assert api.client.post("/v1/models/nobody/rollback", json={"reason": "it is late"}).status_code == 404
        assert not promotion.done()
        assert post(api, "rollback", reason="alarms all night").status_code == 200
        given_up = promotion.result(10)
    assert given_up.status_code == 503 and "a roll-back came first" in given_up.json()["detail"]
    assert models.calls[-3:] == [("make_way",), ("load", MODEL, MODEL), ("follow", MODEL)]
    assert versions(api) == {f"{MODEL}@3": "passed", NEXT: "former", MODEL: "serving"}
    assert "actoscope_model_promotions_given_up_total 1.0" in api.client.get("/metrics").text


def test_roll_back_by_itself_that_fails_is_not_tried_each_minute(api: RunningApi):
    stream = api.add()
    api.client.post("/v1/rules", json={"name": "r", "actions": {"push up": 0.5}})
    promoted(api, 24.0, 3600)
    tell_events(api, stream["id"], 11)
    api.supervisor.models.problem = "no memory"
    with pytest.raises(Unavailable, match="goes on serving: no memory"):
        api.call(api.context.promotions.check())
    api.call(api.context.promotions.check())
    assert [each.what for each in Pointers.of(api.settings).read(MODEL).history] == ["promoted", "failed"]


def test_version_that_keeps_the_inference_process_from_starting_gives_way_to_the_former(api: RunningApi):
    post(api, "promote", version=NEXT)
    for version in (NEXT, NEXT):  # each process that ends so says it
        api.loop.call_soon_threadsafe(api.supervisor.models.on_broken, version, "it is damaged")
    wait_for(lambda: versions(api) == {NEXT: "former", MODEL: "serving"}, 5, "the former one serves")
    wait_for(lambda: not api.context.promotions._turn.locked(), 5, "both were heard")
    change = Pointers.of(api.settings).read(MODEL).history[-1]
    assert (change.what, change.by) == ("automatic", "actoscope")


def test_pointer_that_cannot_be_written_promotes_nothing(api: RunningApi):
    folder = Path(api.settings.data_dir) / "models"
    folder.mkdir()
    (folder / f"{MODEL}.json").mkdir()  # a rename onto a folder fails, also for root
    failed = post(api, "promote", version=NEXT)
    assert failed.status_code == 503 and "cannot be written down" in failed.json()["detail"]
    assert api.supervisor.models.calls == [("load", MODEL, NEXT)]
