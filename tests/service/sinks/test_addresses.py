"""Where messages may go: every address of a host is checked, and the connection goes to one that was."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from service.sinks.addresses import AddressRefused, Gate, Unreachable, embedded, open_socket, refused
from service.sinks.sender import Delivered, OutboxMessage, Retry
from service.sinks.webhook import WebhookSender
from tests.service.sinks.conftest import KEY, SINK, START, webhook_config
from tests.support.receiver import Receiver

MESSAGE = OutboxMessage(1, SINK, None, 1, "test.ping", START, {"n": 1})


def says(*addresses: str) -> Any:
    async def resolve(_: str, __: int) -> Sequence[str]:
        return addresses

    return resolve


def allowed(*addresses: str, hosts: Sequence[str] = (), host: str = "h.example") -> list[str]:
    found = asyncio.run(Gate(hosts, says(*addresses)).addresses(host, 443))
    return [str(address) for address in found]


@pytest.mark.parametrize(
    "address", ["192.168.1.20", "10.0.0.7", "172.16.3.4", "fd12:3456::1", "100.64.0.9", "198.51.100.7", "2001:db8::7"]
)
def test_local_network_and_everywhere_else_are_allowed(address: str):
    assert allowed(address) == [address]


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("169.254.169.254", "link-local"),
        ("169.254.0.1", "link-local"),
        ("fe80::1", "link-local"),
        ("fe80::1%1", "scoped"),
        ("224.0.0.251", "multicast"),
        ("ff02::1", "multicast"),
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("::", "unspecified"),
        ("255.255.255.255", "reserved"),
        ("240.0.0.1", "reserved"),
        ("fd00:ec2::254", "metadata"),
        ("100.100.100.200", "metadata"),
        ("168.63.129.16", "metadata"),
        ("::ffff:169.254.169.254", "link-local"),
        ("::ffff:0.0.0.0", "unspecified"),
        ("::169.254.169.254", "link-local"),
        ("64:ff9b::a9fe:a9fe", "link-local"),
        ("64:ff9b:1::a9fe:a9fe", "link-local"),
        ("2002:a9fe:a9fe::1", "link-local"),
    ],
)
def test_addresses_that_nothing_is_sent_to(address: str, kind: str):
    for hosts in ((), ("h.example",)):  # naming the host in ACTOSCOPE_SINK_HOSTS changes nothing
        with pytest.raises(AddressRefused, match=f"messages never go to {kind} addresses"):
            allowed(address, hosts=hosts)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1"]
)
def test_this_machine_only_where_the_operator_names_the_host(address: str):
    with pytest.raises(AddressRefused, match="ACTOSCOPE_SINK_HOSTS"):
        allowed(address)
    with pytest.raises(AddressRefused, match="ACTOSCOPE_SINK_HOSTS"):
        allowed(address, hosts=["other.example"])
    assert allowed(address, hosts=["H.Example."]) == [str(ipaddress.ip_address(address))]


def test_one_bad_address_among_good_ones_refuses_the_host():
    with pytest.raises(AddressRefused):
        allowed("198.51.100.7", "2001:db8::7", "127.0.0.1")


def test_host_without_an_address_says_so():
    with pytest.raises(Unreachable, match="the host's name has no address"):
        allowed()
    with pytest.raises(Unreachable, match="the host's name has no address"):
        asyncio.run(Gate().addresses("no-such-host.invalid", 80))
    with pytest.raises(Unreachable):
        asyncio.run(Gate().addresses("a" * 70 + ".example", 80))  # no label of a name is that long


@given(st.integers(0, 2**128 - 1))
def test_every_ipv6_address_is_judged_like_what_it_stands_for(number: int):
    address = ipaddress.IPv6Address(number)
    for inner in embedded(address):
        if refused(inner) is not None:
            with pytest.raises(AddressRefused):
                allowed(str(address))


@given(st.ip_addresses(v=4))
def test_mapped_addresses_are_judged_like_plain_ones(address: ipaddress.IPv4Address):
    def verdict(text: str) -> str:
        try:
            allowed(text)
        except AddressRefused as error:
            return str(error)
        return ""

    for text in (f"::ffff:{address}", f"64:ff9b::{address}"):
        assert verdict(text) == verdict(str(address))


# Ways to write 127.0.0.1 that the system's resolver knows, and that a check of the text would not.
SPELLINGS = ["2130706433", "0x7f000001", "127.1", "0x7f.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"]


def sender(url: str, gate: Gate, **config: Any) -> WebhookSender:
    return WebhookSender(webhook_config(url, **config), [KEY], gate, lambda: START)


def send(url: str, gate: Gate, **config: Any) -> Any:
    return asyncio.run(sender(url, gate, **config).send(MESSAGE))


@pytest.mark.parametrize("host", SPELLINGS)
def test_loopback_in_disguise_is_refused(host: str):
    with Receiver() as receiver:
        outcome = send(f"http://{host}:{receiver.port}/", Gate(["127.0.0.1"]))
        assert isinstance(outcome, Retry), outcome
        assert not receiver.received
    refusals = (
        "messages go to this machine only where ACTOSCOPE_SINK_HOSTS names the host",
        "the host's name has no address",
    )
    assert outcome.error in refusals


def test_loopback_in_octal_is_refused():
    """httpx takes it for no host at all; where a resolver knows it, it is what it stands for."""
    with pytest.raises(ValueError, match="expected a URL"):
        webhook_config("http://0177.0.0.1/")
    with pytest.raises((AddressRefused, Unreachable)):
        asyncio.run(Gate().addresses("0177.0.0.1", 80))


def test_name_that_points_elsewhere_after_the_check_gains_nothing():
    """DNS rebinding: the first answer is harmless, every later one is this machine."""
    answers = [("198.51.100.7",)]

    async def rebinding(_: str, __: int) -> Sequence[str]:
        return answers.pop() if answers else ("127.0.0.1",)

    dialled: list[str] = []

    class Watched(Gate):
        async def connect(self, host: str, port: int, timeout_s: float, dial: Any) -> Any:
            async def note(address: Any, port: int) -> Any:
                dialled.append(str(address))
                raise ConnectionRefusedError(111, "Connection refused")

            return await super().connect(host, port, timeout_s, note)

    with Receiver() as receiver:
        gate = Watched((), rebinding)
        first = send(f"http://name.example:{receiver.port}/", gate)
        second = send(f"http://name.example:{receiver.port}/", gate)
        assert not receiver.received
    assert first == Retry("no connection: Connection refused")
    assert "ACTOSCOPE_SINK_HOSTS" in second.error
    assert dialled == ["198.51.100.7"]  # what was checked is what was connected to


def test_host_header_is_the_urls_and_the_connection_the_checked_address():
    with Receiver() as receiver:
        gate = Gate(["alarms.example"], says("127.0.0.1"))
        assert send(f"http://alarms.example:{receiver.port}/a?b=c", gate) == Delivered(204)
        (got,) = receiver.received
    assert (got.path, got.headers["host"]) == ("/a?b=c", f"alarms.example:{receiver.port}")


def test_host_header_of_an_ipv6_address_has_its_brackets():
    with Receiver() as receiver:
        gate = Gate(["fd12::7"], says("127.0.0.1"))
        assert send(f"http://[fd12::7]:{receiver.port}/", gate) == Delivered(204)
        assert receiver.received[0].headers["host"] == f"[fd12::7]:{receiver.port}"


def test_tls_names_the_host_and_checks_its_certificate(tmp_path: Path):
    authority = trustme.CA()
    pem = authority.cert_pem.bytes().decode()
    named: list[str | None] = []

    async def serve(host: str, ca: str | None) -> Any:
        import ssl

        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("alarms.example").configure_cert(context)
        context.sni_callback = lambda _, name, __: named.append(name)

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        gate = Gate(["alarms.example", "other.example"], says("127.0.0.1"))
        try:
            return await sender(f"https://{host}:{port}/", gate, **({"ca": ca} if ca else {})).send(MESSAGE)
        finally:
            server.close()
            await server.wait_closed()

    assert asyncio.run(serve("alarms.example", pem)) == Delivered(204)
    assert named == ["alarms.example"]
    wrong_name = asyncio.run(serve("other.example", pem))
    assert wrong_name.error.startswith("the receiver's certificate is refused: Hostname mismatch")
    unknown = asyncio.run(serve("alarms.example", None))
    assert unknown.error.startswith("the receiver's certificate is refused: unable to get local issuer")


def test_first_address_that_answers_is_taken():
    with Receiver() as receiver:
        gate = Gate(["alarms.example"], says("127.0.0.2", "127.0.0.1"))  # nobody listens at the first
        assert send(f"http://alarms.example:{receiver.port}/", gate) == Delivered(204)


def test_resolver_that_is_silent_costs_no_more_than_the_time_to_connect():
    async def silent(_: str, __: int) -> Sequence[str]:
        await asyncio.sleep(60)
        return ()

    with pytest.raises(Unreachable, match=r"no connection within 0\.05 s"):
        asyncio.run(Gate((), silent).connect("h.example", 80, 0.05, open_socket))


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch):
    with Receiver() as proxy, Receiver() as receiver:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url())
        assert send(receiver.url(), Gate(["127.0.0.1"])) == Delivered(204)
        assert (len(proxy.received), len(receiver.received)) == (0, 1)
