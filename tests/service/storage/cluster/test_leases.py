"""Leases over a real PostgreSQL: who may run a stream, and who may not any more."""

from sqlalchemy import text

from service.storage.cluster import leases
from service.storage.cluster.leases import Grant, Held, Placement
from service.storage.database import Database
from tests.service.storage.conftest import with_database


async def age(database: Database, seconds: float) -> None:
    """As if so much time had gone by for all leases."""
    await database.write(
        lambda session: session.execute(text("UPDATE stream_leases SET expires_at = expires_at - :s"), {"s": seconds})
    )


def test_a_lease_that_counts_is_given_to_nobody_else(cluster_url):
    async def work(database: Database) -> None:
        assert await database.write(lambda s: leases.grant(s, [Grant("s", "a", 0)])) == {"s": 1}
        assert await database.write(lambda s: leases.grant(s, [Grant("s", "b", 1)])) == {}
        await age(database, leases.TTL_S + 1)
        assert await database.write(lambda s: leases.grant(s, [Grant("s", "b", 0)])) == {}, "not of that epoch"
        assert await database.write(lambda s: leases.grant(s, [Grant("s", "b", 1)])) == {"s": 2}

    with_database(cluster_url, work)


def test_a_renewal_holds_off_the_end_and_an_old_epoch_renews_nothing(cluster_url):
    async def work(database: Database) -> None:
        await database.write(lambda s: leases.grant(s, [Grant("s", "a", 0), Grant("t", "b", 0)]))
        await age(database, 7)
        kept = await database.write(lambda s: leases.renew(s, "a", [Held("s", 1, 40), Held("t", 1, 1)]))
        assert kept == {("s", 1)}, "the other is not its own"
        found = await database.read(leases.read_leases)
        assert found["s"].left_s > 7 > found["t"].left_s and found["s"].next_track == 40
        await age(database, 9)
        await database.write(lambda s: leases.grant(s, [Grant("s", "b", 1)]))
        assert await database.write(lambda s: leases.renew(s, "a", [Held("s", 1, 41)])) == frozenset()
        assert (await database.read(leases.read_leases))["s"].next_track == 40, "who had it has no say any more"

    with_database(cluster_url, work)


def test_what_a_node_gave_up_is_another_s_at_once(cluster_url):
    async def work(database: Database) -> None:
        await database.write(lambda s: leases.grant(s, [Grant("s", "a", 0)]))
        await database.write(lambda s: leases.give_up(s, [("s", 7)]))
        assert await database.write(lambda s: leases.grant(s, [Grant("s", "b", 1)])) == {}
        await database.write(lambda s: leases.give_up(s, [("s", 1)]))
        assert await database.write(lambda s: leases.grant(s, [Grant("s", "b", 1)])) == {"s": 2}

    with_database(cluster_url, work)


def test_leases_and_placements_go_with_their_streams_once_nobody_has_them(cluster_url):
    async def work(database: Database) -> None:
        await database.write(lambda s: leases.grant(s, [Grant("s", "a", 0), Grant("t", "a", 0)]))
        await database.write(lambda s: leases.put_placement(s, "s", Placement("yard", "")))
        await database.write(lambda s: leases.give_up(s, [("s", 1)]))
        await database.write(leases.forget_leases)
        assert set(await database.read(leases.read_leases)) == {"t"}
        assert await database.read(leases.read_placements) == {}

    with_database(cluster_url, work)
