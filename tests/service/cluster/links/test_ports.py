"""At which doors Ray and a cluster's own programs listen: what docs/cluster.md tells a firewall."""

from __future__ import annotations

import random
from pathlib import Path

import psutil
import pytest

from service.cluster.ground import ClusterStart
from service.cluster.links.errors import ClusterError
from service.cluster.links.ports import COUNT, Ports
from service.settings import load_settings
from tests.service.batch_jobs.ray_machines import ray_cluster
from tests.support.places import REPOSITORY
from tests.support.service import wait_for

FREE = 11_000  # above the ports that tests take for heads, below those that the system gives away


def test_without_a_first_port_any_will_do():
    ports = Ports()
    assert (ports.calls, ports.loans, ports.overlap(6379)) == (0, 0, False)
    assert ports.ray_options() == ["--dashboard-agent-listen-port=0"]


def test_all_are_within_a_hundred_and_differ():
    ports = Ports(10_000)
    named = [int(option.partition("=")[2]) for option in ports.ray_options()]
    assert len({*named, ports.calls, ports.loans}) == len(named) + 2
    assert all(ports.overlap(port) for port in (*named, ports.calls, ports.loans))
    assert not ports.overlap(9_999) and not ports.overlap(10_000 + COUNT)


def test_port_at_which_nodes_join_is_none_of_them(tmp_path: Path):
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text("a" * 64)
    settings = load_settings(cluster_token=token, cluster_port=6379, cluster_ports=6300)
    with pytest.raises(ClusterError, match="none of the 100 ports from 6300 on"):
        ClusterStart.of(settings)


def test_ray_listens_where_the_document_says_and_nowhere_else(tmp_path: Path):
    """A head and a node; what cannot be bound to an address is at ports that a firewall can hold."""
    pytest.importorskip("ray")
    first = random.randrange(FREE, FREE + 4000, 2 * COUNT)
    with ray_cluster(tmp_path, 1, first) as (address, _, (node,)):
        head_port = int(address.rpartition(":")[2])
        agents = {("127.0.0.30", first + 4), ("127.0.0.31", first + COUNT + 4)}
        wait_for(lambda: agents <= doors_of(psutil.Process()), 60, "Ray's agents for trainings listen")
        doors, of_node = doors_of(psutil.Process()), doors_of(psutil.Process(node.process.pid))
    everywhere = {port for host, port in doors if host in ("::", "0.0.0.0")}
    assert everywhere - {head_port} <= set(range(first, first + 2 * COUNT))
    assert {first + 2, first + 3, first + COUNT + 2, first + COUNT + 3} <= everywhere
    assert {port for host, port in of_node if host in ("::", "0.0.0.0")} == {first + COUNT + 2, first + COUNT + 3}
    of_an_address = {(host, port) for host, port in doors if host not in ("::", "0.0.0.0")}
    assert {
        (host, port) for host, port in of_an_address if host != "127.0.0.1"
    } == agents  # which only this one reaches


def doors_of(process: psutil.Process) -> set[tuple[str, int]]:
    return {found for each in process.children(recursive=True) for found in listening(each)}


def listening(process: psutil.Process) -> set[tuple[str, int]]:
    try:
        connections = process.net_connections("inet")
    except psutil.Error:
        return set()
    return {(each.laddr.ip, each.laddr.port) for each in connections if each.status == psutil.CONN_LISTEN}


def test_document_lists_every_port_of_ray():
    text = (REPOSITORY / "docs" / "cluster.md").read_text("utf-8")
    for option in Ports(10_000).ray_options():
        assert option.removeprefix("--").partition("=")[0] in text
