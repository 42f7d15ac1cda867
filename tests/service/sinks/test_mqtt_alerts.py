"""Commands of a broker."""

import asyncio

import pytest

from service.sinks.mqtt_alerts import MAX_SUSPEND_MIN, AlertState, CommandRefused, command

NOW = 1_777_000_000.0


class ScriptedSwitch:
    def __init__(self) -> None:
        self.calls: list[tuple] = []

    async def state(self, stream_id: str) -> AlertState:
        return AlertState(True)

    async def set(self, stream_id: str, on: bool) -> None:
        self.calls.append((stream_id, on))

    async def suspend(self, stream_id: str, until: float | None) -> None:
        self.calls.append((stream_id, until))


def given(verb: str, payload: bytes) -> list[tuple]:
    switch = ScriptedSwitch()
    asyncio.run(command(switch, "str_1", verb, payload, NOW))
    return switch.calls


def test_commands_reach_the_switch():
    assert given("set", b"OFF") == [("str_1", False)] and given("set", b"ON") == [("str_1", True)]
    assert given("suspend", b"30") == [("str_1", NOW + 1800)] and given("suspend", b"0") == [("str_1", None)]


@pytest.mark.parametrize(
    ("verb", "payload"),
    [
        ("set", b"on"),
        ("set", b""),
        ("set", b"\xff\xfe"),
        ("suspend", b"-1"),
        ("suspend", b"1e3"),
        ("suspend", "٣".encode()),
        ("suspend", str(MAX_SUSPEND_MIN + 1).encode()),
        ("suspend", b"9" * 100_000),
        ("arm", b"ON"),
    ],
)
def test_what_is_no_command_is_refused_with_what_was_expected(verb, payload):
    with pytest.raises(CommandRefused, match="expected"):
        given(verb, payload)
