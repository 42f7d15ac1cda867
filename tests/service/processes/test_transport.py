"""Addresses: who listens there, who connects, and what is no address."""

import threading
from pathlib import Path

import pytest

from service.processes.ipc import Channel
from service.processes.transport import Listener, connect, unix_address


def test_listener_and_connection_talk_and_nothing_is_left(tmp_path: Path):
    path = tmp_path / "meeting.sock"
    listener = Listener(unix_address(path))
    assert path.stat().st_mode & 0o777 == 0o600
    accepted: list[Channel] = []
    thread = threading.Thread(target=lambda: accepted.append(listener.accept()))
    thread.start()
    channel = connect(unix_address(path))
    thread.join(5)
    channel.send("greeting", {"a": 1})
    assert accepted[0].receive().fields == {"a": 1}
    for each in (channel, accepted[0]):
        each.close()
    listener.close()
    assert not path.exists()


def test_close_ends_a_waiting_accept(tmp_path: Path):
    listener = Listener(unix_address(tmp_path / "meeting.sock"))
    errors: list[OSError] = []

    def wait() -> None:
        try:
            listener.accept()
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    listener.close()
    thread.join(5)
    assert len(errors) == 1


def test_connection_to_nobody_is_an_os_error(tmp_path: Path):
    with pytest.raises(OSError):
        connect(unix_address(tmp_path / "nobody.sock"))


@pytest.mark.parametrize("address", ["/run/inference.sock", "carrier-pigeon://roof", "unix://", ""])
def test_what_is_no_address_is_refused_by_name(address: str):
    with pytest.raises(ValueError, match="expected an address such as unix"):
        connect(address)
