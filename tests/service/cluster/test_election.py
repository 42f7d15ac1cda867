"""Which API leads, over a real PostgreSQL."""

import asyncio

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from service.cluster.election import Election
from service.cluster.links.addresses import EXPECTED, cluster_database
from service.cluster.links.errors import ClusterError
from service.settings import Settings
from service.storage.cluster.leader import Candidate, Fenced, check_fence, read_leader
from service.storage.database import Database
from tests.service.storage.conftest import with_database

LOCKS = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
BEAT_S = 0.05
LIMIT_S = 30.0


def election(url: str, name: str) -> Election:
    return Election(url, Candidate(name, f"http://{name}", ""), BEAT_S)


def stop(election: Election) -> None:
    """As if its process was stopped."""
    assert election._task is not None
    election._task.cancel()


async def lock_lost(database: Database) -> None:
    """As if the leader's connection broke."""
    await database.write(lambda s: s.execute(text("SELECT pg_terminate_backend(backend) FROM cluster_leader")))


def test_the_first_leads_from_the_start_and_the_second_when_it_is_gone(cluster_url):
    async def work(database: Database) -> None:
        first, second = election(cluster_url, "one"), election(cluster_url, "two")
        await first.open()
        await second.open()
        assert (first.epoch, second.epoch) == (1, 0)
        await first.close()
        await asyncio.wait_for(second.won.wait(), LIMIT_S)
        found = await database.read(read_leader)
        assert found is not None and (found.epoch, found.name, second.epoch) == (2, "two", 2)
        await second.close()

    with_database(cluster_url, work)


def test_a_broken_connection_costs_nothing_where_nobody_else_led(cluster_url):
    async def work(database: Database) -> None:
        only = election(cluster_url, "one")
        await only.open()
        await lock_lost(database)
        for _ in range(int(LIMIT_S / BEAT_S)):
            await asyncio.sleep(BEAT_S)
            if await database.read(lambda s: s.execute(LOCKS).scalar()):
                break
        assert (only.epoch, only.lost.is_set()) == (1, False)
        await only.close()

    with_database(cluster_url, work)


def test_a_leader_that_was_overtaken_learns_it_and_may_write_nothing(cluster_url):
    async def work(database: Database) -> None:
        first, second = election(cluster_url, "one"), election(cluster_url, "two")
        await first.open()
        stop(first)
        await second.open()
        await lock_lost(database)
        await asyncio.wait_for(second.won.wait(), LIMIT_S)
        fenced = Database(cluster_url, lambda session: check_fence(session, first.epoch))
        with pytest.raises(Fenced, match="another API leads"):
            await fenced.write(lambda session: session.execute(text("SELECT 1")))
        await fenced.close()
        await first._turn()
        assert first.epoch == 0 and first.lost.is_set() and second.epoch == 2
        await first.close()
        await second.close()

    with_database(cluster_url, work)


def test_a_leader_that_hangs_with_its_connection_open_is_cut_off(cluster_url):
    async def work(database: Database) -> None:
        first, second = election(cluster_url, "one"), election(cluster_url, "two")
        await first.open()
        stop(first)
        await database.write(lambda s: s.execute(text("UPDATE cluster_leader SET renewed_at = renewed_at - 7")))
        await second.open()
        await asyncio.wait_for(second.won.wait(), LIMIT_S)
        assert second.epoch == 2
        await first.close()
        await second.close()

    with_database(cluster_url, work)


def test_any_other_database_is_refused_with_what_to_set(tmp_path):
    for given in (None, "sqlite:///x.db", "nonsense"):
        with pytest.raises(ClusterError) as error:
            cluster_database(Settings(data_dir=tmp_path, database_url=None if given is None else SecretStr(given)))
        assert str(error.value).startswith(EXPECTED)
