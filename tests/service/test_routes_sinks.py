"""/v1/sinks and /v1/deliveries over the real application; secrets go in and never come out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks

from tests.service.conftest import RunningApi
from tests.service.test_routes_streams import problem
from tests.support.mail_server import MailServer
from tests.support.receiver import Receiver, Reply, script
from tests.support.service import wait_for

CANARY = "c4n4ry"


@pytest.fixture
def api(run_api: Callable[..., RunningApi]) -> RunningApi:
    return run_api(sink_hosts=("127.0.0.1",))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def webhook(receiver: Receiver, **changes: Any) -> dict[str, Any]:
    config = {"url": receiver.url(f"/{CANARY}-path"), "headers": {"Authorization": f"Bearer {CANARY}"}}
    return {"kind": "webhook", "name": "Control room", "config": config, **changes}


MQTT = {
    "kind": "mqtt",
    "name": "Home",
    "config": {"host": "127.0.0.1", "port": 9, "username": CANARY, "password": CANARY},
}
EMAIL = {
    "kind": "email",
    "name": "Guards",
    "config": {
        **{"host": "127.0.0.1", "port": 9, "username": CANARY, "password": CANARY},
        **{"sender": "actoscope@site.example", "recipients": ["guard@site.example"]},
    },
}


def add(api: RunningApi, body: dict[str, Any]) -> dict[str, Any]:
    answer = api.client.post("/v1/sinks", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/v1/sinks/{answer.json()['id']}"
    return dict(answer.json())


def test_sinks_of_every_kind_are_kept_and_shown_without_their_secrets(api: RunningApi, receiver: Receiver):
    added = [add(api, body) for body in (webhook(receiver), MQTT, EMAIL)]
    assert added[0]["secret"].startswith("whsec_") and [each["secret"] for each in added[1:]] == [None, None]
    listed = api.client.get("/v1/sinks")
    assert CANARY not in listed.text and "whsec_" not in listed.text
    items = listed.json()["items"]
    assert [item["kind"] for item in items] == ["webhook", "mqtt", "email"]
    assert items[0]["config"]["url"] == "***" and items[0]["config"]["headers"] == {"Authorization": "***"}
    assert items[1]["config"]["username"] == items[1]["config"]["password"] == "***"
    assert (items[2]["config"]["host"], items[2]["config"]["ca"]) == ("127.0.0.1", None)
    for sink, item in zip(added, items, strict=True):
        assert api.client.get(f"/v1/sinks/{sink['id']}").json() == item
        assert {**item, "secret": sink["secret"]} == sink


def test_nothing_secret_is_in_the_database_or_the_log(
    api: RunningApi, receiver: Receiver, caplog: pytest.LogCaptureFixture
):
    secret = add(api, webhook(receiver))["secret"]
    add(api, EMAIL)
    for item in api.client.get("/v1/sinks").json()["items"]:
        receiver.reply = script(Reply(500))
        answer = api.client.post(f"/v1/sinks/{item['id']}/test")
        assert answer.status_code == 200 and not answer.json()["delivered"]
        assert CANARY not in answer.text
    assert CANARY not in api.client.get("/v1/deliveries").text
    api.stop()
    stored = b"".join(path.read_bytes() for path in Path(api.settings.data_dir).glob("actoscope.db*"))
    assert b"Control room" in stored
    for text in (CANARY, secret, secret.removeprefix("whsec_")):
        assert text.encode() not in stored
        assert text not in caplog.text


def test_test_message_is_sent_now_and_verifies(api: RunningApi, receiver: Receiver):
    sink = add(api, webhook(receiver))
    answer = api.client.post(f"/v1/sinks/{sink['id']}/test").json()
    assert (answer["delivered"], answer["status"], answer["error"]) == (True, 204, None)
    (got,) = receiver.received
    assert standardwebhooks.Webhook(sink["secret"]).verify(got.body, dict(got.headers))["type"] == "test.ping"
    assert got.id == answer["delivery_id"]
    (delivery,) = api.client.get("/v1/deliveries").json()["items"]
    assert (delivery["id"], delivery["state"], delivery["type"]) == (got.id, "delivered", "test.ping")


def test_test_of_a_disabled_sink_says_what_is_wrong_and_is_not_tried_again(api: RunningApi, receiver: Receiver):
    receiver.reply = script(Reply(503))
    sink = add(api, webhook(receiver, enabled=False))
    answer = api.client.post(f"/v1/sinks/{sink['id']}/test").json()
    assert (answer["delivered"], answer["status"], answer["error"]) == (False, 503, "the receiver answered 503")
    (delivery,) = api.client.get("/v1/deliveries?state=dead").json()["items"]
    assert delivery["next_at"] is None
    assert api.client.get(f"/v1/sinks/{sink['id']}").json()["state"] == "disabled"


def test_test_letter_arrives(api: RunningApi):
    with MailServer() as server:
        config = {**EMAIL["config"], "port": server.port, "ca": server.ca, "username": "actoscope"}  # type: ignore[dict-item]
        sink = add(api, {**EMAIL, "config": config})
        answer = api.client.post(f"/v1/sinks/{sink['id']}/test").json()
        assert (answer["delivered"], answer["error"]) == (True, None)
        assert server.letters[0]["Subject"] == "Actoscope: A test message"


def test_rotated_secret_is_shown_once_and_the_old_one_signs_for_a_while(api: RunningApi, receiver: Receiver):
    sink = add(api, webhook(receiver))
    new = api.client.post(f"/v1/sinks/{sink['id']}/rotate-secret").json()["secret"]
    assert new != sink["secret"]
    api.client.post(f"/v1/sinks/{sink['id']}/test")
    for secret in (new, sink["secret"]):
        standardwebhooks.Webhook(secret).verify(receiver.received[-1].body, dict(receiver.received[-1].headers))
    newest = api.client.post(f"/v1/sinks/{sink['id']}/rotate-secret", json={"overlap_s": 0}).json()["secret"]
    api.client.post(f"/v1/sinks/{sink['id']}/test")
    standardwebhooks.Webhook(newest).verify(receiver.received[-1].body, dict(receiver.received[-1].headers))
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(new).verify(receiver.received[-1].body, dict(receiver.received[-1].headers))
    problem(api.client.post(f"/v1/sinks/{add(api, MQTT)['id']}/rotate-secret"), 409)


def test_change_keeps_what_is_not_given_and_secrets_shown_as_stars(api: RunningApi, receiver: Receiver):
    sink = add(api, webhook(receiver))
    path = f"/v1/sinks/{sink['id']}"
    as_shown = api.client.get(path).json()["config"]
    changed = api.client.patch(path, json={"name": "Desk", "config": {**as_shown, "stream_events": True}}).json()
    assert (changed["name"], changed["config"]["stream_events"]) == ("Desk", True)
    api.client.post(f"{path}/test")
    got = receiver.received[-1]
    assert (got.path, got.headers["authorization"]) == (f"/{CANARY}-path", f"Bearer {CANARY}")
    standardwebhooks.Webhook(sink["secret"]).verify(got.body, dict(got.headers))
    api.client.patch(path, json={"config": {"url": receiver.url("/new"), "headers": {}}})
    api.client.post(f"{path}/test")
    assert receiver.received[-1].path == "/new" and "authorization" not in receiver.received[-1].headers


def test_sink_that_was_disabled_is_enabled_again_and_what_waits_arrives(api: RunningApi, receiver: Receiver):
    receiver.reply = script(Reply(410), Reply(204))
    sink = add(api, webhook(receiver))
    path = f"/v1/sinks/{sink['id']}"
    first = enqueue(api, sink["id"], 1)
    wait_for(lambda: api.client.get(path).json()["state"] == "disabled", 5, "the sink is disabled")
    assert api.client.get(path).json()["disabled_reason"].startswith("the receiver answered 410")
    second = enqueue(api, sink["id"], 2)
    again = api.client.post(f"/v1/deliveries/{first}/retry")
    assert (again.status_code, again.json()["state"]) == (202, "pending")
    answer = api.client.patch(path, json={"enabled": True}).json()
    assert (answer["state"], answer["disabled_reason"], answer["failing_since"]) == ("ok", "", None)
    wait_for(lambda: len(receiver.received) == 3, 5, "both messages")
    assert [each.id for each in receiver.received[1:]] == [first, second]
    problem(api.client.post(f"/v1/deliveries/{first}/retry"), 409)


def enqueue(api: RunningApi, sink_id: str, n: int) -> str:
    from service.storage import outbox
    from service.storage.outbox import NewMessage

    message = NewMessage(sink_id, "incident.updated", {"n": n}, "inc_0000000000000001", n=n)

    async def work() -> int:
        import time

        database = api.context.sinks._database
        row_id = await database.write(lambda session: outbox.enqueue(session, message, time.time()))
        api.context.sinks.dispatcher.ring()
        return row_id

    return f"msg_{api.call(work())}"


def test_deliveries_are_filtered_and_paged(api: RunningApi, receiver: Receiver):
    sinks = [add(api, webhook(receiver))["id"] for _ in range(2)]
    ids = [enqueue(api, sink, n) for sink in sinks for n in (1, 2)]
    wait_for(lambda: len(receiver.received) == 4, 5, "four messages")
    pages = api.client.get("/v1/deliveries", params={"limit": 3}).json()
    rest = api.client.get("/v1/deliveries", params={"limit": 3, "cursor": pages["next_cursor"]}).json()
    assert [item["id"] for item in (*pages["items"], *rest["items"])] == ids[::-1]
    mine = api.client.get("/v1/deliveries", params={"sink": sinks[0], "incident": "inc_0000000000000001"}).json()
    assert {item["sink_id"] for item in mine["items"]} == {sinks[0]} and len(mine["items"]) == 2
    problem(api.client.get("/v1/deliveries?state=lost"), 422)
    problem(api.client.get("/v1/deliveries?cursor=x"), 422)
    foreign = api.client.get("/v1/events").json()["next_cursor"]
    assert foreign is None


def test_removed_sink_is_gone_and_its_messages_are_given_up(api: RunningApi, receiver: Receiver):
    sink = add(api, webhook(receiver, enabled=False))["id"]
    message = enqueue(api, sink, 1)
    assert api.client.delete(f"/v1/sinks/{sink}").status_code == 204
    for call in ("get", "delete"):
        problem(getattr(api.client, call)(f"/v1/sinks/{sink}"), 404)

    def expired() -> bool:
        items = api.client.get("/v1/deliveries?state=expired").json()["items"]
        return [item["id"] for item in items] == [message]

    wait_for(expired, 5, "the message is given up")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "fax", "name": "x", "config": {}}, "body"),
        ({"kind": "webhook", "name": "x"}, "webhook.config"),
        ({"kind": "webhook", "name": "x", "config": {"url": f"ftp://{CANARY}"}}, "webhook.config.url"),
        ({"kind": "webhook", "name": "x", "config": {"url": ["c4n4ry"]}}, "webhook.config.url"),
        ({"kind": "webhook", "name": "", "config": {"url": "http://h/"}}, "webhook.name"),
        ({"kind": "mqtt", "name": "x", "config": {"host": "h", "password": {"a": CANARY}}}, "mqtt.config.password"),
        ({"kind": "mqtt", "name": "x", "config": {"host": "h", "port": 0}}, "mqtt.config.port"),
        ({"kind": "mqtt", "name": "x", "config": {"host": "h", "passwort": CANARY}}, "mqtt.config.passwort"),
        ({"kind": "email", "name": "x", "config": {**EMAIL["config"], "recipients": []}}, "email.config.recipients"),  # type: ignore[dict-item]
        ({"kind": "email", "name": "x", "config": {**EMAIL["config"], "ca": "x"}}, "email.config.ca"),  # type: ignore[dict-item]
        ({"kind": "email", "name": "x", "config": {**EMAIL["config"], "subject": "$x"}}, "email.config.subject"),  # type: ignore[dict-item]
    ],
)
def test_bad_bodies_are_refused_by_field_without_a_secret(body: dict[str, Any], field: str, shared_api: RunningApi):
    answer = shared_api.client.post("/v1/sinks", json=body)
    errors = problem(answer, 422)["errors"]
    assert field in {error["field"] for error in errors}
    assert CANARY not in answer.text


def test_bad_changes_are_refused_by_field_without_a_secret(api: RunningApi, receiver: Receiver):
    path = f"/v1/sinks/{add(api, webhook(receiver))['id']}"
    for config, field in (
        ({"url": f"ftp://{CANARY}"}, "config.url"),
        ({"password": CANARY}, "config.password"),
        ({"headers": {"Host": CANARY}}, "config.headers"),
        ({"url": None}, "config.url"),
    ):
        answer = api.client.patch(path, json={"config": config})
        assert [error["field"] for error in problem(answer, 422)["errors"]] == [field]
        assert CANARY not in answer.text
    problem(api.client.patch(path, json={"kind": "mqtt"}), 422)


@pytest.mark.parametrize("path", ["/v1/sinks/snk_x", "/v1/sinks/snk_0000000000000000", "/v1/sinks/%00"])
def test_unknown_sinks_are_not_found(path: str, shared_api: RunningApi):
    problem(shared_api.client.get(path), 404)
    problem(shared_api.client.post(f"{path}/test"), 404)


@pytest.mark.parametrize("name", ["msg_999", "msg_", "17", "msg_٣", "msg_" + "9" * 40])
def test_unknown_deliveries_are_not_found(name: str, shared_api: RunningApi):
    problem(shared_api.client.post(f"/v1/deliveries/{name}/retry"), 404)


def test_there_are_never_more_sinks_than_the_limit(
    api: RunningApi, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("service.sinks.desk.MAX_SINKS", 1)
    add(api, webhook(receiver))
    assert "there are 1 sinks" in problem(api.client.post("/v1/sinks", json=MQTT), 409)["detail"]


def test_secrets_sealed_with_another_key_have_to_be_given_again(run_api: Callable[..., RunningApi], receiver: Receiver):
    api = run_api(sink_hosts=("127.0.0.1",))
    sink = add(api, webhook(receiver))
    path = f"/v1/sinks/{sink['id']}"
    api.stop()
    (Path(api.settings.data_dir) / "secret.key").unlink()
    api = run_api(sink_hosts=("127.0.0.1",))
    assert api.client.get(path).json()["state"] == "unreadable"
    problem(api.client.post(f"{path}/test"), 409)
    problem(api.client.post(f"{path}/rotate-secret"), 409)
    assert api.client.patch(path, json={"config": {"url": receiver.url()}}).json()["state"] == "ok"
    secret = api.client.post(f"{path}/rotate-secret").json()["secret"]
    assert api.client.post(f"{path}/test").json()["delivered"]
    standardwebhooks.Webhook(secret).verify(receiver.received[-1].body, dict(receiver.received[-1].headers))


def test_metrics_tell_of_the_outbox(api: RunningApi, receiver: Receiver):
    sink = add(api, webhook(receiver))["id"]
    api.client.post(f"/v1/sinks/{sink}/test")
    text = api.client.get("/metrics").text
    assert f'actoscope_deliveries_total{{result="delivered",sink="{sink}"}} 1.0' in text
    assert f'actoscope_delivery_seconds_count{{sink="{sink}"}} 1.0' in text
    for name in ("outbox_pending", "outbox_oldest_seconds", "outbox_dead_total", "outbox_pruned_total"):
        assert f"\nactoscope_{name} " in text
    assert json.dumps(CANARY) not in text
