"""Where a request comes from, and which host it means."""

import pytest

from service.access.peers import (
    PEER,
    Peer,
    host_name,
    host_of,
    is_allowed_host,
    is_local,
    is_loopback_name,
    rightmost_untrusted,
)
from tests.service.access.connections import connection

HERE = Peer("127.0.0.1", "127.0.0.1", True, False)
THERE = Peer("192.0.2.7", "192.0.2.7", False, False)


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8000", "localhost.", "127.0.0.1:1", "127.9.9.9", "[::1]", "[::1]:80", "a.localhost"],
)
def test_loopback_hosts_are_local(host: str):
    assert is_loopback_name(host)
    assert is_local(connection(("Host", host)))
    assert is_local(connection(("Host", host), client="::ffff:127.0.0.1"))


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "0.0.0.0",
        "[::]",
        "192.0.2.1",
        "",
        "notlocalhost",
    ],
)
def test_other_hosts_are_not_local_though_they_lead_here(host: str):
    assert not is_local(connection(("Host", host)))


@pytest.mark.parametrize(
    "header",
    [
        *("Forwarded", "X-Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Server"),
        *("X-Real-IP", "Via", "X-Original-URL", "X-Envoy-External-Address", "X-Client-IP", "X-Cluster-Client-IP"),
        *("True-Client-IP", "CF-Connecting-IP", "Fastly-Client-IP", "X-Proxy-Secret"),
    ],
)
def test_whatever_says_that_there_is_a_proxy_makes_a_request_not_local(header: str):
    assert not is_local(connection(("Host", "localhost"), (header, "")))


def test_other_peers_and_old_http_and_two_hosts_are_not_local():
    assert not is_local(connection(("Host", "localhost"), client="192.0.2.7"))
    assert not is_local(connection(("Host", "localhost"), client="10.0.0.1"))
    assert not is_local(connection(("Host", "localhost"), http_version="1.0"))
    assert not is_local(connection(("Host", "localhost"), ("Host", "localhost")))
    assert not is_local(connection())


def test_socket_without_addresses_is_nobody():
    assert not is_local(connection(("Host", "localhost"), client=""))


@pytest.mark.parametrize("host", ["localhost:8000.evil.example", "localhost/x", "localhost:", "[::1", "user@localhost"])
def test_host_that_is_none_means_nothing(host: str):
    assert host_of(connection(("Host", host))) == ""


@pytest.mark.parametrize(
    ("hops", "client"),
    [
        ([], "10.0.0.1"),
        (["203.0.113.5"], "203.0.113.5"),
        (["1.2.3.4, 203.0.113.5"], "203.0.113.5"),
        (["127.0.0.1, 203.0.113.5, 10.0.0.7"], "203.0.113.5"),
        (["203.0.113.5", "10.0.0.7"], "203.0.113.5"),
        (["10.0.0.8, 10.0.0.7"], "10.0.0.8"),
        (["203.0.113.5:4711"], "203.0.113.5"),
        (["[2001:db8::5]:4711"], "2001:db8::5"),
        (["2001:db8::5"], "2001:db8::5"),
        (["203.0.113.5, nonsense, 10.0.0.7"], "10.0.0.7"),
        (["nonsense"], "10.0.0.1"),
    ],
)
def test_client_is_the_rightmost_hop_that_no_trusted_proxy_vouches_for(hops: list[str], client: str):
    headers = [("X-Forwarded-For", hop) for hop in hops]
    peer: Peer = connection(*headers, client="10.0.0.1").scope["state"][PEER]
    assert (peer.address, peer.client, peer.trusted) == ("10.0.0.1", client, True)


def test_forwarded_for_of_anybody_else_counts_for_nothing():
    peer: Peer = connection(("X-Forwarded-For", "203.0.113.5"), client="192.0.2.7").scope["state"][PEER]
    assert (peer.client, peer.trusted, peer.forwarded) == ("192.0.2.7", False, True)
    assert rightmost_untrusted("192.0.2.7", [], []) == "192.0.2.7"


@pytest.mark.parametrize(
    ("host", "entry", "fits"),
    [
        ("cameras.example", "cameras.example", True),
        ("Cameras.Example.", "cameras.example", True),
        ("cameras.example:8443", "cameras.example", True),
        ("cameras.example:8443", "cameras.example:8443", True),
        ("cameras.example", "cameras.example:80", True),
        ("cameras.example", "cameras.example:8443", False),
        ("evil.example", "cameras.example", False),
        ("x.cameras.example", "cameras.example", False),
        ("[2001:db8::7]:8000", "2001:db8::7", True),
        ("[2001:db8::7]:8000", "[2001:db8::7]", True),
        ("[2001:db8::7]:8000", "[2001:db8::7]:8000", True),
        ("[2001:db8::8]", "[2001:db8::7]", False),
        ("", "cameras.example", False),
        ("localhost", "cameras.example", False),
    ],
)
def test_hosts_are_compared_by_name_and_by_port_where_one_is_given(host: str, entry: str, fits: bool):
    assert is_allowed_host(host, [entry], "http", THERE) is fits


def test_loopback_names_are_always_allowed_on_this_machine():
    assert is_allowed_host("127.0.0.1:8000", ["cameras.example"], "http", HERE)
    assert not is_allowed_host("evil.example", ["cameras.example"], "http", HERE)


def test_host_name_is_without_port_brackets_and_last_dot():
    assert [host_name(host) for host in ("A.b.:1", "[::1]:2", "c")] == ["a.b", "::1", "c"]
