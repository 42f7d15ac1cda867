"""/v1/ws under a real server: snapshot, filters, replay, ping, slow subscribers, refusals."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.service.conftest import RunningApi, action, tracks
from tests.support.service import wait_for

STREAM = "str_0000000000000001"
OTHER = "str_0000000000000002"


@contextmanager
def subscribed(api: RunningApi, query: str = "", **options: Any) -> Iterator[ClientConnection]:
    with connect(api.ws_url + query, proxy=None, **options) as client:
        yield client


def receive(client: ClientConnection, timeout_s: float = 30) -> dict[str, Any]:
    return json.loads(client.recv(timeout=timeout_s))


def receive_all(client: ClientConnection, quiet_s: float = 0.3) -> list[dict[str, Any]]:
    """Until nothing comes for a moment."""
    messages = []
    try:
        while True:
            messages.append(receive(client, quiet_s))
    except TimeoutError:
        return messages


def publish(api: RunningApi, *messages: dict[str, Any]) -> None:
    hub = api.context.hub
    publishers = {"tracks": hub.publish_tracks, "action": hub.publish_action, "stream": hub.publish_stream}
    publishers["presence"] = hub.publish_presence
    publishers["repetition"] = hub.publish_repetition
    for message in messages:
        api.call(publishers[message["type"]](message))
    api.call(hub.flush())


def stream_message(state: str = "running", stream_id: str = STREAM) -> dict[str, Any]:
    return {"type": "stream", "stream_id": stream_id, "state": state, "code": None, "reason": "scripted"}


def refusal(api: RunningApi, query: str = "", **options: Any) -> tuple[int, dict[str, Any]]:
    with pytest.raises(InvalidStatus) as refused, subscribed(api, query, **options):
        pass
    response = refused.value.response
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, json.loads(response.body or b"")


def test_hello_comes_first_with_every_stream(api: RunningApi):
    stream = api.add(name="Gate")
    publish(api, stream_message())
    with subscribed(api) as client:
        hello = receive(client)
        publish(api, stream_message("reconnecting"))
        later = receive(client)
    assert (hello["type"], hello["protocol"], hello["seq"], hello["oldest_seq"]) == ("hello", 1, 1, 1)
    assert hello["streams"] == [stream]
    assert (later["type"], later["seq"], later["state"]) == ("stream", 2, "reconnecting")


def test_messages_arrive_as_they_were_published(api: RunningApi):
    with subscribed(api) as client:
        receive(client)
        publish(api, tracks(3), action(), action(kind="ended"))
        messages = receive_all(client)
    by_type = {message["type"]: message for message in messages}
    assert by_type["tracks"] == tracks(3)
    assert [m for m in messages if m["type"] == "action"] == [
        {**action(), "seq": 1},
        {**action(kind="ended"), "seq": 2},
    ]


def test_filters_choose_streams_actions_and_confidence(api: RunningApi):
    wanted = f"?stream={STREAM}&action=push%20up&min_confidence=0.5"
    with subscribed(api, wanted) as client:
        receive(client)
        publish(
            api,
            action("evt_other", stream_id=OTHER),
            action("evt_squat", action="squat"),
            action("evt_weak", confidence=0.4),
            action("evt_right"),
            action("evt_right", kind="ended", confidence=0.3),
            stream_message(stream_id=OTHER),
            stream_message(),
            tracks(1, OTHER),
            tracks(2),
        )
        messages = receive_all(client)
    assert [m["event_id"] for m in messages if m["type"] == "action"] == ["evt_right", "evt_right"]
    assert [m["stream_id"] for m in messages if m["type"] == "stream"] == [STREAM]
    seen = next(m for m in messages if m["type"] == "tracks")
    assert seen["frame_index"] == 2
    assert [track["track_id"] for track in seen["tracks"]] == [7]


def test_since_seq_replays_what_was_missed_and_then_goes_on(api: RunningApi):
    publish(api, *(action(f"evt_{n}") for n in range(5)))
    with subscribed(api, "?since_seq=2") as client:
        assert receive(client)["seq"] == 5
        publish(api, action("evt_new"))
        messages = receive_all(client)
    assert [message["seq"] for message in messages] == [3, 4, 5, 6]
    assert messages[0] == {**action("evt_2"), "seq": 3}


def test_presence_is_numbered_replayed_and_chosen_by_stream_alone(api: RunningApi):
    def presence(people: int, stream_id: str = STREAM) -> dict[str, Any]:
        return {"type": "presence", "stream_id": stream_id, "time_s": 1.0, "people": people, "zones": {}}

    publish(api, presence(1), presence(2, OTHER), action())
    with subscribed(api, f"?since_seq=0&stream={STREAM}&action=squat&min_confidence=0.9") as client:
        receive(client)
        publish(api, presence(3))
        messages = receive_all(client)
    assert [(message["seq"], message["people"]) for message in messages] == [(1, 1), (4, 3)]


def test_repetitions_are_numbered_replayed_and_chosen_by_stream_and_exercise(api: RunningApi):
    def repetition(exercise: str, count: int, stream_id: str = STREAM) -> dict[str, Any]:
        return {"type": "repetition", "stream_id": stream_id, "exercise": exercise, "count": count}

    publish(api, repetition("squat", 1), repetition("push-up", 1), repetition("squat", 9, OTHER), action())
    with subscribed(api, f"?since_seq=0&stream={STREAM}&exercise=squat&action=jump") as client:
        receive(client)
        publish(api, repetition("squat", 2))
        messages = receive_all(client)
    assert [(message["seq"], message["count"]) for message in messages] == [(1, 1), (5, 2)]


def test_replay_longer_than_one_portion_has_no_gap(api: RunningApi, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("service.hub.MAX_BATCH", 7)
    publish(api, *(action(f"evt_{n}", stream_id=STREAM if n % 2 else OTHER) for n in range(40)))
    with subscribed(api, "?since_seq=0") as client:
        receive(client)
        assert [m["seq"] for m in receive_all(client)] == list(range(1, 41))
    with subscribed(api, f"?since_seq=0&stream={OTHER}") as client:
        receive(client)
        assert [m["seq"] for m in receive_all(client)] == list(range(1, 41, 2))


def test_numbers_and_replay_outlive_a_restart_and_open_actions_are_ended(run_api):
    first = run_api()
    publish(first, action("evt_done"), action("evt_done", kind="ended"), action("evt_open", start_s=4.0))
    first.stop()
    second = run_api()
    with subscribed(second, "?since_seq=2") as client:
        hello = receive(client)
        opened, ended = receive(client), receive(client)
        publish(second, action("evt_next"))
        following = receive(client)
    assert hello["seq"] == 4
    assert (opened["seq"], opened["event_id"], opened["kind"]) == (3, "evt_open", "started")
    assert (ended["seq"], ended["event_id"], ended["kind"]) == (4, "evt_open", "ended")
    assert ended["end_s"] >= ended["start_s"] == 4.0
    assert following["seq"] == 5


def test_since_seq_of_another_database_only_gives_the_present(api: RunningApi):
    publish(api, action())
    with subscribed(api, "?since_seq=999") as client:
        assert receive(client)["seq"] == 1
        assert receive_all(client) == []


def test_ping_is_answered(api: RunningApi):
    with subscribed(api) as client:
        receive(client)
        client.send('{"type": "ping"}')
        assert receive(client) == {"type": "pong"}


@pytest.mark.parametrize(
    ("text", "code"),
    [("{}", 1003), ("hello", 1003), ("[" * 3000, 1003), (b"\x00", 1003), ('{"type": "x"}', 1003), ("a" * 5000, 1009)],
)
def test_what_is_not_understood_closes_the_socket(shared_api: RunningApi, text, code):
    with subscribed(shared_api) as client:
        receive(client)
        client.send(text)
        with pytest.raises(ConnectionClosed) as closed:
            receive_all(client)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == code


@pytest.mark.parametrize("path", ["/v1/nothing", "/", "/v1/streams", "/v1/ws/", "/v1/ws/x", "/ws"])
def test_there_is_no_websocket_at_any_other_path(shared_api: RunningApi, path: str):
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://127.0.0.1:{shared_api.port}{path}", proxy=None)
    response = refused.value.response
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    body = json.loads(response.body or b"")
    assert (body["status"], body["instance"]) == (404, path)


def test_foreign_page_is_refused_and_our_own_is_not(api: RunningApi):
    status, body = refusal(api, origin="https://evil.example")
    assert (status, body["status"]) == (403, 403)
    assert refusal(api, origin="null")[0] == 403
    with subscribed(api, origin=api.url) as client:
        assert receive(client)["type"] == "hello"


@pytest.mark.parametrize(
    "query",
    [
        "?since_seq=-1",
        "?since_seq=x",
        "?since_seq=99999999999999999999",
        "?since_seq=%C2%B2",
        "?min_confidence=2",
        "?min_confidence=nan",
        "?steam=x",
    ],
)
def test_bad_query_is_refused_naming_the_field(shared_api: RunningApi, query: str):
    status, body = refusal(shared_api, query)
    assert status == 422
    assert body["errors"][0]["field"] in query


def test_one_subscriber_too_many_is_refused(run_api):
    api = run_api(max_subscribers=1)
    with subscribed(api) as client:
        receive(client)
        assert refusal(api)[0] == 503
    wait_for(lambda: api.context.hub.subscribers == 0, 5, "the subscriber is forgotten")
    with subscribed(api) as client:
        assert receive(client)["type"] == "hello"


class StuckClient:
    """Shakes hands and never reads: a small receive buffer fills, then the server's."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", port))
        request = (
            f"GET /v1/ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        self.socket.sendall(request.encode())
        assert self.socket.recv(12) == b"HTTP/1.1 101"

    def is_open_at(self, port: int) -> bool:
        """Whether the server still holds its side of the connection."""
        mine = self.socket.getsockname()[1]
        ends = psutil.Process().net_connections("tcp4")
        return any(end.laddr.port == port and end.raddr and end.raddr.port == mine for end in ends)


def test_stuck_subscriber_is_cut_and_the_others_hear_everything(run_api):
    api = run_api(subscriber_queue=64)
    stuck = StuckClient(api.port)
    padding = "x" * 20_000
    with subscribed(api, max_queue=None) as healthy:
        receive(healthy)
        wait_for(lambda: api.context.hub.subscribers == 2, 5, "both are there")
        assert stuck.is_open_at(api.port)
        begin = time.monotonic()
        heard = []
        for n in range(400):
            publish(api, action(f"evt_{n}", action=padding))
            heard.append(receive(healthy)["seq"])
        assert heard == list(range(1, 401))
        wait_for(lambda: api.context.hub.subscribers == 1, 10, "the stuck one is cut")
        assert time.monotonic() - begin < 30
    assert api.context.hub.measures()["counters"]["subscribers_cut_total"] == 1
    wait_for(lambda: not stuck.is_open_at(api.port), 5, "the connection is dropped, though nobody reads")
    stuck.socket.close()


def test_subscriber_that_reads_too_slowly_hears_1013_and_can_resume(run_api):
    api = run_api(subscriber_queue=8)
    with subscribed(api) as client:
        receive(client)

        async def burst() -> None:
            for n in range(200):  # without a pause, so that no sender runs in between
                await api.context.hub.publish_action(action(f"evt_{n}"))

        api.call(burst())
        seen = []
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                seen.append(receive(client)["seq"])
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1013
    last = seen[-1] if seen else 0
    with subscribed(api, f"?since_seq={last}") as client:
        receive(client)
        assert [m["seq"] for m in receive_all(client)] == list(range(last + 1, 201))


def test_sockets_are_closed_when_the_service_stops(api: RunningApi):
    with subscribed(api) as client:
        receive(client)
        api.stop()
        with pytest.raises(ConnectionClosed):
            receive(client)
