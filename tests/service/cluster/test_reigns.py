"""One process, now leading, now standing by."""

import asyncio
from contextlib import AsyncExitStack

from service.cluster.election import Election
from service.cluster.links.errors import ClusterError
from service.cluster.reigns import Reigns
from service.storage.cluster.leader import Candidate
from service.storage.database import Database
from tests.service.cluster.test_election import BEAT_S, LIMIT_S, lock_lost, stop
from tests.service.storage.conftest import with_database


class Parts:
    """What was opened, what requests are answered with, what was closed; ``fails`` times leading cannot begin."""

    def __init__(self, fails: int = 0) -> None:
        self.now: list[int] = []
        self.closed: list[int] = []
        self.fails = fails

    async def open(self, epoch: int, stack: AsyncExitStack) -> int:
        stack.callback(self.closed.append, epoch)
        if epoch and self.fails:
            self.fails -= 1
            raise ClusterError("scripted")
        return epoch


def reigns(url: str, name: str, parts: Parts) -> tuple[Election, Reigns[int]]:
    election = Election(url, Candidate(name, f"http://{name}", ""), BEAT_S)
    return election, Reigns(election, parts.open, parts.now.append)


async def until(parts: Parts, now: list[int]) -> None:
    async def reached() -> None:
        while parts.now != now:
            await asyncio.sleep(0.02)

    await asyncio.wait_for(reached(), LIMIT_S)


def test_the_second_stands_by_and_leads_when_the_first_is_gone(cluster_url):
    async def work(_: Database) -> None:
        one, two = Parts(), Parts()
        (__, first), (__, second) = reigns(cluster_url, "one", one), reigns(cluster_url, "two", two)
        await first.open()
        await second.open()
        assert (one.now, two.now, first.leads, second.leads) == ([1], [0], True, False)
        await first.close()
        await until(two, [0, 2])
        await second.close()
        assert (one.closed, two.closed) == ([1], [0, 2])

    with_database(cluster_url, work)


def test_one_that_was_overtaken_stands_by_and_may_lead_again(cluster_url):
    async def work(database: Database) -> None:
        one, two = Parts(), Parts()
        (held, first), (__, second) = reigns(cluster_url, "one", one), reigns(cluster_url, "two", two)
        await first.open()
        stop(held)  # its process hangs
        await second.open()
        await lock_lost(database)
        await until(two, [0, 2])
        held._task = asyncio.create_task(held._run())  # it goes on
        await until(one, [1, 0])
        assert one.closed == [1]
        await second.close()
        await until(one, [1, 0, 3])
        await first.close()

    with_database(cluster_url, work)


def test_one_that_cannot_begin_to_lead_stands_by_still_and_tries_again(cluster_url):
    async def work(_: Database) -> None:
        one, two = Parts(), Parts(fails=1)
        (__, first), (__, second) = reigns(cluster_url, "one", one), reigns(cluster_url, "two", two)
        await first.open()
        await second.open()
        await first.close()
        await until(two, [0, 3])
        assert two.closed == [2, 0]
        await second.close()

    with_database(cluster_url, work)
