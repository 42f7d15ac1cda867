"""The MQTT sink at a real broker: Debian's mosquitto on loopback."""

import asyncio
import functools
import json
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from sqlalchemy import insert, select

from service.rights import ALL
from service.sinks import mqtt_connection, mqtt_publisher, mqtt_watch
from service.sinks.sender import Delivered, OutboxMessage, Retry
from service.storage import mqtt as table
from service.storage.alert_tables import OutboxRow, RuleRow
from service.stream_state import StreamState
from tests.service.conftest import action
from tests.service.scripted import JPEG
from tests.service.sinks.mqtt_node import ID, OTHER, SINK, Node, node
from tests.support.mosquitto import Listener, Mosquitto, retained, wait_until
from tests.support.service import free_port

ROOT = "actoscope/gate"
CONFIG = f"homeassistant/device/actoscope_gate_{ID}/config"
REPOSITORY = Path(__file__).parents[3]


def in_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(*args: Any, **fixtures: Any) -> None:
        asyncio.run(test(*args, **fixtures))

    return run


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as running:
        yield running


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_watch, "REFRESH_S", 0.1)
    monkeypatch.setattr(mqtt_connection, "MOST_S", 1.0)
    monkeypatch.setattr(mqtt_connection, "LEAST_S", 0.1)
    monkeypatch.setattr(mqtt_publisher, "BIRTH_JITTER_S", (0.05, 0.1))


async def until(condition: Callable[[], object], timeout_s: float = 15.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


async def opened(one: Node, *streams: str) -> Node:
    for stream_id in streams or (ID,):
        await one.add_stream(stream_id)
        one.run(stream_id)
    await one.sender.open()
    await until(one.sender._publisher.ready.is_set)
    return one


def presence(people: int, **zones: int) -> dict:
    counts = {name: {"people": count, "tracks": []} for name, count in zones.items()}
    common = {"type": "presence", "stream_id": ID, "captured_at": "2026-05-04T03:02:01.000Z", "time_s": 1.0}
    return {**common, "people": people, "zones": counts}


@in_a_loop
async def test_state_is_retained_and_follows_the_hub(tmp_path, broker):
    async with node(tmp_path / "data", {"port": broker.port}) as one:
        await opened(one)
        with Listener(broker.port) as home:
            await one.hub.publish_action(action(stream_id=ID, action="Fighting"))
            await one.hub.publish_presence(presence(3))
            await until(lambda: home.last(f"{ROOT}/{ID}/people") == b"3")
            await until(lambda: home.last(f"{ROOT}/{ID}/action/fighting") == b"ON")
        held = await asyncio.to_thread(retained, broker.port)
        assert held[f"{ROOT}/available"] == held[f"{ROOT}/{ID}/status"] == b"online"
        assert held[f"{ROOT}/{ID}/people"] == b"3" and held[f"{ROOT}/{ID}/action/walking"] == b"OFF"
        assert json.loads(held[CONFIG])["dev"]["name"] == "Yard"
        rows = await one.database.read(lambda session: table.published(session, SINK))
        assert {row for row in rows if "#" not in row} == held.keys()


@in_a_loop
async def test_people_are_told_once_a_second_at_most_and_the_last_count_arrives(tmp_path, broker):
    async with node(tmp_path / "data", {"port": broker.port}) as one:
        await opened(one)
        with Listener(broker.port) as home:
            begun = time.monotonic()
            for count in range(12):
                await one.hub.publish_presence(presence(count + 1))
                await asyncio.sleep(0.1)
            await until(lambda: home.last(f"{ROOT}/{ID}/people") == b"12")
            told = len(home.payloads(f"{ROOT}/{ID}/people"))
            assert told <= 2 + (time.monotonic() - begun)
        assert one.sender.measured()["counters"]["mqtt_dropped_total:state"] > 0


@in_a_loop
async def test_incidents_are_delivered_on_acknowledgement_and_are_not_retained(tmp_path, broker):
    async with node(tmp_path / "data", {"port": broker.port}) as one:
        await opened(one)
        with Listener(broker.port) as home:
            assert await one.incident("started") == Delivered()
            await until(lambda: home.last(f"{ROOT}/{ID}/snapshot") == JPEG)
            event = json.loads(home.payloads(f"{ROOT}/{ID}/event")[0])
            assert (event["event_type"], event["incident_id"]) == ("fighting_started", "inc_1")
            assert json.loads(home.payloads(f"{ROOT}/incidents")[0])["type"] == "new"
        held = await asyncio.to_thread(retained, broker.port)
        assert f"{ROOT}/incidents" not in held and f"{ROOT}/{ID}/event" not in held
        assert held[f"{ROOT}/{ID}/snapshot"] == JPEG


@in_a_loop
async def test_an_update_tells_what_the_message_before_it_told(tmp_path, broker):
    async with node(tmp_path / "data", {"port": broker.port}) as one:
        await opened(one)
        first = {"incident": {"id": "inc_1", "confidence": 0.5}, "links": {}}
        row = {"sink_id": SINK, "incident_id": "inc_1", "stream_id": ID, "n": 0, "type": "incident.started"}
        row |= {"body": first, "state": "delivered", "next_at": 0.0, "created_at": 0.0}
        await one.database.write(lambda session: session.execute(insert(OutboxRow).values(**row)))
        second = {"incident": {"id": "inc_1", "confidence": 0.9}, "links": {}}
        with Listener(broker.port) as home:
            await one.sender.send(OutboxMessage(2, SINK, "inc_1", 1, "incident.updated", 1.0, second, ID))
            await until(lambda: home.last(f"{ROOT}/incidents"))
            told = json.loads(home.payloads(f"{ROOT}/incidents")[0])
        assert (told["before"]["confidence"], told["after"]["confidence"]) == (0.5, 0.9)


@in_a_loop
async def test_a_broker_that_comes_back_empty_gets_everything_again(tmp_path):
    with Mosquitto(tmp_path) as broker:
        async with node(tmp_path / "data", {"port": broker.port}) as one:
            await opened(one)
            await one.hub.publish_action(action(stream_id=ID, action="Fighting"))
            await one.hub.publish_presence(presence(2))
            await one.incident("started")
            await until(lambda: one.sender._watch._live[ID].snapshot == JPEG)
            await asyncio.sleep(0.3)
            before = await asyncio.to_thread(retained, broker.port)
            broker.stop()
            await until(lambda: not one.sender._publisher.ready.is_set())
            assert isinstance(await one.incident("started", 2), Retry)
            assert one.sender.measured()["gauges"]["mqtt_connected"] == 0
            waiting = {"sink_id": SINK, "n": 0, "type": "incident.started", "body": {}, "state": "pending"}
            waiting |= {"next_at": time.time() + 300, "created_at": 0.0}
            await one.database.write(lambda session: session.execute(insert(OutboxRow).values(**waiting)))
            await one.hub.publish_presence(presence(4))
            broker.start()
            await until(one.sender._publisher.ready.is_set)
            await until(lambda: one.sender._retained.due(time.monotonic()) == [])
            after = await asyncio.to_thread(retained, broker.port)
            assert after == {**before, f"{ROOT}/{ID}/people": b"4"}
            assert await one.incident("started", 2) == Delivered()
            (due,) = await one.database.read(lambda session: list(session.scalars(select(OutboxRow.next_at))))
            assert due <= time.time(), "what waited is sent at once"


def start_process(folder: Path, port: int) -> subprocess.Popen:
    command = [sys.executable, "-m", "tests.service.sinks.mqtt_node", str(folder), str(port)]
    return subprocess.Popen(command, cwd=REPOSITORY)


@in_a_loop
async def test_killed_it_is_offline_and_a_stream_deleted_since_is_cleared_at_the_next_start(tmp_path, broker):
    folder = tmp_path / "data"
    process = start_process(folder, broker.port)
    with Listener(broker.port) as home:
        wait_until(lambda: home.last(f"{ROOT}/available") == b"online", 60)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        wait_until(lambda: home.last(f"{ROOT}/available") == b"offline")
    before = retained(broker.port)
    assert before[f"{ROOT}/available"] == b"offline"
    async with node(folder, {"port": broker.port}) as one:
        await one.store.delete_stream(OTHER)
        one.run(ID)
        await one.sender.open()
        await until(one.sender._publisher.ready.is_set)
        after = await asyncio.to_thread(retained, broker.port)
        assert after.keys() == {topic for topic in before if OTHER not in topic}
        assert after[f"{ROOT}/available"] == b"online"
        rows = await one.database.read(lambda session: table.published(session, SINK))
        assert not any(OTHER in row for row in rows)


@in_a_loop
async def test_streams_zones_and_actions_come_and_go_while_it_runs(tmp_path, broker):
    async with node(tmp_path / "data", {"port": broker.port}) as one:
        await opened(one, ID, OTHER)
        with Listener(broker.port) as home:
            await one.store.delete_stream(OTHER)
            await until(lambda: home.last(f"{ROOT}/{OTHER}/status") == b"")
            await until(lambda: home.last(CONFIG.replace(ID, OTHER)) == b"")
            record = (await one.store.all_streams(ALL))[0]
            changed = {**{name: getattr(record, name) for name in type(record).__slots__}, "actions": {"Walking": 0.5}}
            await one.store.change_stream(type(record)(**changed))
            await until(lambda: home.last(f"{ROOT}/{ID}/action/fighting") == b"")
            await until(
                lambda: json.loads(home.last(CONFIG) or b"{}")["cmps"]["action_fighting"] == {"p": "binary_sensor"}
            )
            one.run(ID, StreamState.FAILED)
            failed = {"type": "stream", "stream_id": ID, "state": "failed", "code": None, "reason": ""}
            await one.hub.publish_stream(failed)
            await until(lambda: home.last(f"{ROOT}/{ID}/status") == b"offline")


@in_a_loop
async def test_a_sink_that_is_removed_leaves_nothing_behind_and_one_that_stops_says_so(tmp_path, broker):
    async with node(tmp_path / "data", {"port": broker.port}) as one:
        await opened(one)
        begun = time.monotonic()
        await one.sender.close(removed=False)
        assert time.monotonic() - begun < 5
        held = await asyncio.to_thread(retained, broker.port)
        assert held[f"{ROOT}/available"] == b"offline" and held[f"{ROOT}/{ID}/status"] == b"online"
    async with node(tmp_path / "data", {"port": broker.port}) as one:
        await one.sender.open()
        await until(one.sender._publisher.ready.is_set)
        await one.sender.close(removed=True)
        assert await asyncio.to_thread(retained, broker.port) == {}
        assert await one.database.read(lambda session: table.published(session, SINK)) == {}


@in_a_loop
async def test_what_a_deleted_sink_left_is_cleared_by_another_at_the_same_broker(tmp_path, broker):
    async with node(tmp_path / "data", {"port": broker.port, "node": "old"}) as one:
        await opened(one)
    async with node(tmp_path / "data", {"port": broker.port}, sink="snk_0000000000000002") as one:
        await one.sinks.delete(SINK)
        await one.sender.open()
        await until(one.sender._publisher.ready.is_set)
        held = await asyncio.to_thread(retained, broker.port)
        assert not any("old" in topic for topic in held) and held[f"{ROOT}/available"] == b"online"
        assert await one.database.read(table.orphans) == frozenset()


@in_a_loop
async def test_two_nodes_share_a_broker(tmp_path, broker):
    async with (
        node(tmp_path / "a", {"port": broker.port}) as one,
        node(tmp_path / "b", {"port": broker.port}, name="hall") as two,
    ):
        await opened(one, ID)
        await opened(two, OTHER)
        await two.sender.close(removed=True)
        held = await asyncio.to_thread(retained, broker.port)
        assert held[f"{ROOT}/{ID}/status"] == b"online" and CONFIG in held
        assert not any("hall" in topic for topic in held)
        assert await one.incident("started") == Delivered()


RULE = {"name": "Fight", "enabled": True, "created_at": 0.0}


async def add_rules(one: Node) -> None:
    rows = [
        {"id": "rul_1", "body": {"streams": [ID]}, **RULE},
        {"id": "rul_2", "body": {"streams": []}, **RULE},
        {"id": "rul_3", "body": {"streams": [OTHER]}, **RULE},
    ]
    await one.database.write(lambda session: session.execute(insert(RuleRow), rows))


async def snoozed(one: Node) -> dict[str, float | None]:
    rows = await one.database.read(lambda session: list(session.execute(select(RuleRow.id, RuleRow.snoozed_until))))
    return dict(rows)


@in_a_loop
async def test_commands_switch_and_suspend_the_rules_of_the_stream(tmp_path, broker):
    async with node(tmp_path / "data", {"port": broker.port, "allow_commands": True}) as one:
        await add_rules(one)
        await opened(one)
        with Listener(broker.port) as home:
            state, until_topic = f"{ROOT}/{ID}/alerts/state", f"{ROOT}/{ID}/alerts/suspended"
            await until(lambda: (home.last(state), home.last(until_topic)) == (b"ON", b"0"))
            home.publish(f"{ROOT}/{ID}/alerts/set", "OFF")
            await until(lambda: home.last(state) == b"OFF")
            assert (await snoozed(one)) == {"rul_1": table.FOREVER, "rul_2": table.FOREVER, "rul_3": None}
            home.publish(f"{ROOT}/{ID}/alerts/suspend", "30")
            await until(lambda: int(home.last(until_topic) or 0) > time.time() + 1700)
            home.publish(f"{ROOT}/{ID}/alerts/set", "ON")
            await until(lambda: home.last(state) == b"ON")
            assert (await snoozed(one)) == {"rul_1": None, "rul_2": None, "rul_3": None}
            for bad in (b"on", b"\xff", b""):
                home.publish(f"{ROOT}/{ID}/alerts/set", bad)
            home.publish(f"{ROOT}/str_unknown/alerts/set", "OFF")
            await until(lambda: one.sender.measured()["counters"].get("mqtt_dropped_total:commands") == 4)
            assert (await snoozed(one))["rul_1"] is None and one.sender._publisher.ready.is_set()


@in_a_loop
async def test_commands_that_were_retained_or_are_not_allowed_do_nothing(tmp_path, broker):
    with Listener(broker.port) as home:
        home.publish(f"{ROOT}/{ID}/alerts/set", "OFF", retain=True)
        async with node(tmp_path / "data", {"port": broker.port, "allow_commands": True}) as one:
            await add_rules(one)
            await opened(one)
            await until(lambda: one.sender.measured()["counters"].get("mqtt_dropped_total:commands") == 1)
            assert (await snoozed(one))["rul_1"] is None
        async with node(tmp_path / "data", {"port": broker.port}) as one:
            await one.sender.open()
            await until(one.sender._publisher.ready.is_set)
            home.publish(f"{ROOT}/{ID}/alerts/set", "OFF")
            await asyncio.sleep(0.3)
            assert (await snoozed(one))["rul_1"] is None


@in_a_loop
async def test_a_start_of_home_assistant_has_everything_sent_again(tmp_path, broker):
    async with node(tmp_path / "data", {"port": broker.port}) as one:
        await opened(one)
        with Listener(broker.port) as home:
            await asyncio.sleep(0.2)
            home.heard.clear()
            home.publish("homeassistant/status", "online")
            await until(lambda: home.last(f"{ROOT}/available") == b"online")
            assert CONFIG in {topic for topic, _, _ in home.heard}


@in_a_loop
async def test_a_will_that_comes_late_is_written_over(tmp_path, broker):
    async with node(tmp_path / "data", {"port": broker.port}) as one:
        await opened(one)
        with Listener(broker.port) as home:
            home.publish(f"{ROOT}/available", "offline", retain=True)
            await until(lambda: home.payloads(f"{ROOT}/available")[-2:] == [b"offline", b"online"])


@in_a_loop
async def test_a_wrong_password_is_told_in_words_and_kept_out_of_the_log(tmp_path, caplog):
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "anna", "right horse"], check=True)
    passwords.chmod(0o644)
    with Mosquitto(tmp_path, "allow_anonymous false", f"password_file {passwords}") as broker:
        wrong = {"port": broker.port, "username": "anna", "password": "c4n4ry"}
        async with node(tmp_path / "data", wrong) as one:
            await one.sender.open()
            await until(lambda: "user name or password" in one.sender._link.why)
            outcome = await one.incident("started")
            assert isinstance(outcome, Retry) and "refused the user name or password" in outcome.error
            assert "c4n4ry" not in caplog.text + repr(outcome)
        right = {"port": broker.port, "username": "anna", "password": "right horse"}
        async with node(tmp_path / "data", right) as one:
            await one.sender.open()
            await until(one.sender._publisher.ready.is_set)


@in_a_loop
async def test_tls_with_an_authority_of_ones_own(tmp_path):
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    for name in ("key.pem", "cert.pem"):
        (tmp_path / name).chmod(0o644)
    options = (f"certfile {tmp_path / 'cert.pem'}", f"keyfile {tmp_path / 'key.pem'}")
    with Mosquitto(tmp_path, *options) as broker:
        trusted = {"port": broker.port, "tls": True, "ca": authority.cert_pem.bytes().decode()}
        async with node(tmp_path / "data", trusted) as one:
            await opened(one)
            assert await one.incident("started") == Delivered()
        stranger = {**trusted, "ca": trustme.CA().cert_pem.bytes().decode()}
        async with node(tmp_path / "data", stranger) as one:
            await one.sender.open()
            await until(lambda: "certificate is not trusted" in one.sender._link.why)


@in_a_loop
async def test_a_broker_that_is_away_or_silent_ends_quickly_with_the_service(tmp_path):
    silent = socket.create_server(("127.0.0.1", 0))
    port = silent.getsockname()[1]
    for config in ({"port": free_port()}, {"port": port}, {"port": port, "tls": True}):
        async with node(tmp_path / "data", config) as one:
            await one.sender.open()
            await asyncio.sleep(0.3)
            outcome = await one.incident("started")
            assert isinstance(outcome, Retry) and outcome.error
            begun = time.monotonic()
            await one.sender.close(removed=True)
            assert time.monotonic() - begun < 5
    silent.close()


@in_a_loop
async def test_a_test_of_a_sink_that_is_not_open_arrives(tmp_path, broker):
    ping = OutboxMessage(1, SINK, None, 0, "test.ping", 1.0, {"text": "hello"})
    async with node(tmp_path / "data", {"port": broker.port}) as one:
        with Listener(broker.port) as home:
            assert await one.sender.send(ping) == Delivered()
            await until(lambda: home.last(f"{ROOT}/notices"))
        assert await asyncio.to_thread(retained, broker.port) == {}
        await opened(one)
        assert await one.sender.send(ping) == Delivered()


def test_back_off_grows_to_a_minute_and_is_spread():
    waits = [mqtt_connection.back_off_s(failures) for failures in (1, 5, 20) for _ in range(50)]
    assert all(mqtt_connection.LEAST_S <= wait <= mqtt_connection.MOST_S for wait in waits) and len(set(waits)) > 100


def test_a_certificate_error_is_told_in_words():
    error = ssl.SSLCertVerificationError(1, "verify failed")
    error.verify_message = "self-signed certificate"
    assert "self-signed certificate" in mqtt_connection.in_words(error)
