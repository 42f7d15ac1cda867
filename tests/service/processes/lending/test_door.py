"""Who may have clips classified: those with the cluster's token, and nobody learns it."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from service.processes.ipc import Channel, ChannelClosed
from service.processes.lending import door as doors
from service.processes.lending.door import MAX_BODY_BYTES, Door, NotAdmitted, enter, greet
from service.processes.lending.strangers import MOST_OF_ADDRESS
from tests.support.service import wait_for

TOKEN = "0123456789abcdef" * 4


def echo(channel: Channel) -> None:
    try:
        while True:
            packet = channel.receive()
            channel.send(packet.kind, packet.fields, packet.arrays)
    except ChannelClosed:
        channel.close()


@pytest.fixture
def door() -> Iterator[Door]:
    opened = Door("127.0.0.1", TOKEN)
    threading.Thread(target=opened.run, args=(echo,), daemon=True).start()
    yield opened
    opened.close()


def plain(door: Door) -> socket.socket:
    host, _, port = door.address.rpartition(":")
    return socket.create_connection((host, int(port)), 5)


def test_who_has_the_token_comes_in_and_pixels_cross_whole(door: Door):
    channel = enter(door.address, TOKEN)
    sent = np.random.default_rng(1).integers(0, 256, 600_000, np.uint8)
    channel.send("clip", {"n": 1}, {"jpeg": sent})
    got = channel.receive()
    assert (got.kind, got.fields) == ("clip", {"n": 1})
    assert np.array_equal(got.arrays["jpeg"], sent)
    channel.close()
    assert set(door.turned_away.values()) == {0}


def test_who_has_another_token_is_turned_away_and_counted(door: Door):
    with pytest.raises(NotAdmitted):
        enter(door.address, "another" * 8)
    wait_for(lambda: door.turned_away == {"token": 1, "crowded": 0, "full": 0}, 5, "it is counted")


def test_a_lender_with_another_token_gets_no_clip():
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=swallow, args=(greet, theirs, "another" * 8), daemon=True)
    thread.start()
    with pytest.raises(NotAdmitted):
        doors.knock(ours, TOKEN)
    thread.join(5)
    ours.close()


def swallow(greeting, sock, token) -> None:
    try:
        greeting(sock, token)
    except OSError:
        sock.close()


def test_a_greeting_that_was_heard_before_opens_nothing(door: Door):
    """Somebody who hears what crosses repeats it."""
    heard = []

    class Wire:
        """Notes what the borrower says."""

        def __init__(self, sock: socket.socket) -> None:
            self._sock = sock

        def __getattr__(self, name: str):
            return getattr(self._sock, name)

        def sendall(self, data: bytes) -> None:
            heard.append(data)
            self._sock.sendall(data)

    first = plain(door)
    doors.knock(Wire(first), TOKEN)  # type: ignore[arg-type]
    first.close()
    with plain(door) as second:
        second.recv(1024)
        second.sendall(heard[0])
        assert second.recv(1024) == b""
    assert TOKEN.encode() not in b"".join(heard)


def test_who_says_something_else_or_nothing_is_sent_away(door: Door, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doors, "GREETING_S", 0.3)
    with plain(door) as stranger, plain(door) as silent:
        stranger.sendall(b"GET / HTTP/1.1\r\n".ljust(64, b"x"))
        for each in (stranger, silent):
            each.settimeout(10)
            with each.makefile("rb") as answers:
                assert answers.read().startswith(b"actoscope-loan-2")  # and then the end
    wait_for(lambda: door.turned_away["token"] == 2, 5, "both are counted")


def test_a_message_over_the_bound_ends_its_connection_before_it_is_read(door: Door):
    with plain(door) as sock:
        doors.knock(sock, TOKEN)
        sock.sendall(struct.pack("!IQ", 2, MAX_BODY_BYTES + 1))
        assert sock.recv(10) == b""


def test_more_than_there_are_places_for_are_turned_away(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doors, "MAX_GUESTS", 1)
    small = Door("127.0.0.1", TOKEN)
    threading.Thread(target=small.run, args=(echo,), daemon=True).start()
    first = enter(small.address, TOKEN)
    assert not entered(small)
    assert small.turned_away == {"token": 0, "crowded": 0, "full": 1}
    first.close()
    wait_for(lambda: entered(small), 10, "the place is free again")
    small.close()


def entered(door: Door) -> bool:
    """Whether whoever has the token is let in, and is served."""
    channel = enter(door.address, TOKEN)
    try:
        channel.send("alive")
        return channel.receive().kind == "alive"
    except OSError:
        return False
    finally:
        channel.close()


def test_strangers_keep_nobody_out_who_has_the_token(door: Door):
    """More of them than there are places, each silent for as long as it may be."""
    guest = enter(door.address, TOKEN)
    strangers = [plain(door) for _ in range(doors.MAX_GUESTS + 20)]
    assert entered(door)
    guest.send("alive")
    assert guest.receive().kind == "alive"
    wait_for(lambda: door.turned_away["crowded"] >= doors.MAX_GUESTS, 5, "they are counted")
    assert len(door._strangers) <= MOST_OF_ADDRESS
    guest.close()
    for each in strangers:
        each.close()


def test_what_happens_again_and_again_is_counted_and_said_once(door: Door, caplog: pytest.LogCaptureFixture):
    for _ in range(5):
        with pytest.raises(NotAdmitted):
            enter(door.address, "another" * 8)
    wait_for(lambda: door.turned_away["token"] == 5, 5, "all are counted")
    assert caplog.text.count("turned away") == 1


def test_door_that_cannot_take_somebody_goes_on(door: Door, monkeypatch: pytest.MonkeyPatch):
    """As where no file handle is left."""
    takes, failed = door._socket.accept, threading.Event()

    def accept() -> tuple[socket.socket, Any]:
        if not failed.is_set():
            failed.set()
            raise OSError(24, "Too many open files")
        return takes()

    monkeypatch.setattr(door, "_socket", SimpleNamespace(accept=accept, shutdown=lambda _: None, close=lambda: None))
    enter(door.address, TOKEN).close()  # the accept that was under way
    enter(door.address, TOKEN).close()
    assert failed.is_set()
