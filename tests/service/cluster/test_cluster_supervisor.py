"""Streams on several nodes: given, moved, fenced. Real database, hub and store; what runs on nodes is scripted."""

import asyncio
from typing import Any

from sqlalchemy import text

from service.rights import ALL
from service.storage.cluster import nodes
from service.storage.cluster.leases import TTL_S, Placement, put_placement
from service.stream_state import StreamState
from service.subscription import Subscription
from tests.service.cluster.world import World, in_world, until

STREAM = "str_0000000000000001"


async def log_of(world: World) -> list[dict[str, Any]]:
    """All that the log has; its numbers have no gap."""
    store = world.leaders[-1][0]._store
    messages = await store.replay((0, 1 << 60), 10_000, ALL)
    assert [message["seq"] for message in messages] == list(range(1, len(messages) + 1))
    return list(messages)


async def age(world: World, stream_id: str) -> None:
    """As if a lease's time was over in the database."""
    sql = text("UPDATE stream_leases SET expires_at = expires_at - :ttl WHERE stream_id = :id")
    silent = text("UPDATE nodes SET seen_at = seen_at - :ttl WHERE name IN (SELECT node FROM stream_leases)")
    values = {"ttl": TTL_S + 1, "id": stream_id}
    await world.leaders[-1][2].write(lambda s: [s.execute(sql, values), s.execute(silent, values)])


def test_streams_are_spread_and_what_they_say_is_in_the_log(cluster_url, tmp_path):
    async def work(world: World) -> None:
        await world.add_node("a")
        await world.add_node("b")
        supervisor, hub = await world.lead()
        ids = [f"str_{i:016d}" for i in range(4)]
        for stream_id in ids:
            await world.add_stream(stream_id, supervisor)
        await until(lambda: all(world.runs(one) for one in ids), "all streams run")
        assert sorted(filter(None, map(world.runs, ids))) == ["a", "a", "b", "b"]
        await until(lambda: supervisor.status(ids[0]).state is StreamState.RUNNING, "its state is known")
        for stream_id in ids:
            await world.scripts[world.runs(stream_id) or ""].act(stream_id, f"evt_{stream_id}")
        await until(lambda: hub.seq >= 8, "four states and four actions are stored")
        told = await log_of(world)
        assert sorted(m["event_id"] for m in told if m["type"] == "action") == [f"evt_{one}" for one in ids]
        await until(lambda: all(node.spool.rows == 0 for node in world.nodes.values()), "what was stored is not kept")

    in_world(cluster_url, tmp_path, work)


def test_a_node_that_is_gone_leaves_its_streams_to_another_with_new_numbers_and_ended_actions(cluster_url, tmp_path):
    async def work(world: World) -> None:
        await world.add_node("a")
        supervisor, hub = await world.lead()
        await world.add_stream(STREAM, supervisor)
        await until(lambda: world.runs(STREAM) == "a", "it runs")
        await world.scripts["a"].act(STREAM, "evt_1", track_id=7)
        await until(hub.open_streams, "the action is known")
        await world.add_node("b")
        await world.remove_node("a")
        await age(world, STREAM)
        await until(lambda: world.runs(STREAM) == "b", "the other has it")
        assert world.scripts["b"].first[STREAM] > 7
        await until(lambda: supervisor.status(STREAM).state is StreamState.RUNNING, "its state is known")
        told = await log_of(world)
        assert [m["kind"] for m in told if m["type"] == "action"] == ["started", "ended"]
        assert [m["reason"] for m in told if m.get("code") == "moved"] == ["node a has it no more: it goes on at b"]

    in_world(cluster_url, tmp_path, work)


def test_an_agent_that_wakes_after_its_time_says_nothing_more(cluster_url, tmp_path):
    async def work(world: World) -> None:
        script = await world.add_node("a")
        supervisor, hub = await world.lead()
        await world.add_stream(STREAM, supervisor)
        await until(lambda: world.runs(STREAM) == "a", "it runs")
        await until(lambda: hub.seq >= 1, "its state is stored")
        node, seq = world.nodes["a"], hub.seq
        node.leases.renew = lambda: asyncio.sleep(3600)  # type: ignore # nothing is renewed
        await asyncio.sleep(0.5)  # a renewal under way ends
        await script.act(STREAM, "evt_before")
        world.clocks["a"].ahead_s = TTL_S + 1  # it was stopped for so long
        await script.act(STREAM, "evt_after")
        await until(lambda: node.agent.moves["streams_lost_total"] == 1, "it learns that its time is over")
        await until(lambda: STREAM not in script.running, "it stops the stream")
        assert node.spool.after(0, 10) == [], "nothing that waited may leave"
        told = await log_of(world)
        said = {m.get("event_id") for m in told if m["seq"] > seq}
        assert "evt_after" not in said
        assert node.outlet.measures()["counters"]["reports_dropped_total:lease"] >= 1

    in_world(cluster_url, tmp_path, work)


def test_what_comes_late_of_an_old_epoch_is_refused_and_counted(cluster_url, tmp_path):
    async def work(world: World) -> None:
        script = await world.add_node("a")
        supervisor, hub = await world.lead()
        await world.add_stream(STREAM, supervisor)
        await until(lambda: world.runs(STREAM) == "a", "it runs")
        await until(lambda: hub.seq >= 1, "its state is stored")
        world.links["a"].down = True  # cut off from the API, not from the database
        await script.act(STREAM, "evt_kept")
        await world.add_node("b")
        lease = supervisor.board.leases[STREAM]
        sql = text("UPDATE stream_leases SET epoch = epoch + 1, node = 'b' WHERE stream_id = :id")
        await world.leaders[-1][2].write(lambda s: s.execute(sql, {"id": STREAM}))
        await until(lambda: supervisor.board.leases[STREAM].epoch == lease.epoch + 1, "the leader knows")
        await until(lambda: STREAM not in script.running, "the node knows, and lets nothing out that waits")
        world.nodes["a"].spool.put(STREAM, lease.epoch, "action", {"event_id": "evt_late"})
        world.links["a"].down = False
        await until(lambda: supervisor.peers["a"].intake.refused, "it is refused")
        await until(lambda: world.runs(STREAM) == "b", "the other runs it")
        assert "evt_late" not in {m.get("event_id") for m in await log_of(world)}

    in_world(cluster_url, tmp_path, work)


def test_a_drained_node_hands_over_without_a_lost_event(cluster_url, tmp_path):
    async def work(world: World) -> None:
        script = await world.add_node("a")
        supervisor, hub = await world.lead()
        await world.add_stream(STREAM, supervisor)
        await until(lambda: world.runs(STREAM) == "a", "it runs")
        await world.add_node("b")
        await until(lambda: "b" in supervisor.peers and supervisor.peers["b"].heard_s, "the other is known")
        for i in range(50):
            await script.act(STREAM, f"evt_{i}", track_id=i + 1)
        await world.leaders[-1][2].write(lambda s: nodes.set_draining(s, "a", True))
        await until(lambda: world.runs(STREAM) == "b", "the other has it")
        await until(lambda: supervisor.status(STREAM).state is StreamState.RUNNING, "its state is known")
        await hub.flush()
        actions = [m for m in await log_of(world) if m["type"] == "action"]
        assert [m["event_id"] for m in actions if m["kind"] == "started"] == [f"evt_{i}" for i in range(50)]
        assert sorted(m["event_id"] for m in actions if m["kind"] == "ended") == sorted(f"evt_{i}" for i in range(50))
        assert world.scripts["b"].first[STREAM] > 50 and supervisor.peers["a"].intake.refused == 0

    in_world(cluster_url, tmp_path, work)


def test_another_leader_goes_on_and_nothing_is_in_the_log_twice(cluster_url, tmp_path):
    async def work(world: World) -> None:
        script = await world.add_node("a")
        supervisor, hub = await world.lead()
        await world.add_stream(STREAM, supervisor)
        await until(lambda: world.runs(STREAM) == "a", "it runs")
        await script.act(STREAM, "evt_1")
        await until(lambda: hub.seq >= 2, "it is stored")
        node = world.nodes["a"]
        acknowledge, node.spool.acknowledge = node.spool.acknowledge, lambda n: None  # type: ignore[method-assign]
        await supervisor.close()
        node.spool.acknowledge = acknowledge  # type: ignore[method-assign]
        await script.act(STREAM, "evt_1", "ended")
        second, other = await world.lead()
        await until(lambda: other.seq >= 3, "what was said meanwhile is stored")
        await until(
            lambda: (
                STREAM in second.peers["a"].view.statuses if "a" in second.peers and second.peers["a"].view else False
            ),
            "its state is known",
        )
        assert script.calls.count(("start", STREAM)) == 1, "the stream did not notice"
        assert [m["kind"] for m in await log_of(world) if m["type"] == "action"] == ["started", "ended"]

    in_world(cluster_url, tmp_path, work)


def test_orders_of_a_leader_whom_another_followed_do_not_count(cluster_url, tmp_path):
    async def work(world: World) -> None:
        await world.add_node("a")
        first, _ = await world.lead()
        await world.add_stream(STREAM, first)
        await until(lambda: world.runs(STREAM) == "a", "it runs")
        second, _ = await world.lead()
        await until(lambda: "a" in second.peers and second.peers["a"].heard_s, "the node follows the second")
        await until(
            lambda: first.peers["a"].problem.startswith("expected the leader of epoch 2"), "the first is refused"
        )
        first.board.forget(STREAM)
        first.peers["a"].ring()
        await asyncio.sleep(0.2)
        assert world.runs(STREAM) == "a"

    in_world(cluster_url, tmp_path, work)


def test_a_stopped_stream_ends_on_its_node_and_a_pinned_one_waits_for_it(cluster_url, tmp_path):
    async def work(world: World) -> None:
        await world.add_node("a")
        supervisor, _ = await world.lead()
        await world.add_stream(STREAM, supervisor)
        await until(lambda: world.runs(STREAM) == "a", "it runs")
        await supervisor.stop(STREAM)
        assert world.runs(STREAM) is None and supervisor.status(STREAM).state is StreamState.STOPPED
        await world.leaders[-1][2].write(lambda s: put_placement(s, "str_2", Placement(pin="b")))
        await world.add_stream("str_2", supervisor)
        await until(
            lambda: supervisor.status("str_2").code == "unplaced" and "node b" in supervisor.status("str_2").reason,
            "it is said why",
        )
        await world.add_node("b")
        await until(lambda: world.runs("str_2") == "b", "it runs where it is wanted")

    in_world(cluster_url, tmp_path, work)


def test_a_database_that_is_away_ends_streams_in_time_and_they_come_back(cluster_url, tmp_path):
    async def work(world: World) -> None:
        script = await world.add_node("a")
        supervisor, _ = await world.lead()
        await world.add_stream(STREAM, supervisor)
        await until(lambda: world.runs(STREAM) == "a", "it runs")
        leases = world.nodes["a"].leases
        good = leases._database
        leases._database = Away()  # type: ignore[assignment]
        world.clocks["a"].ahead_s = TTL_S
        await until(lambda: STREAM not in script.running, "it stops by itself")
        await until(lambda: leases.failed, "a renewal is tried")
        leases._database = good
        await until(lambda: world.runs(STREAM) == "a", "it runs again")
        assert leases.failed and script.first[STREAM] >= 1

    in_world(cluster_url, tmp_path, work)


class Away:
    """A database that nobody reaches."""

    async def write(self, work: Any) -> Any:
        from service.storage.database import StoreError

        raise StoreError("database: the server is away")


def test_subscribers_hear_tracks_of_all_nodes_and_none_of_an_old_epoch(cluster_url, tmp_path):
    async def work(world: World) -> None:
        script = await world.add_node("a")
        supervisor, hub = await world.lead()
        await world.add_stream(STREAM, supervisor)
        await until(lambda: world.runs(STREAM) == "a", "it runs")
        subscription = subscribed(hub)
        message = {"type": "tracks", "stream_id": STREAM, "time_s": 1.0, "captured_at": "2026-05-04T03:02:01.000Z"}
        await script.outlet.publish_tracks({**message, "tracks": [{"track_id": 3, "action": None}]})
        await until(lambda: subscription._tracks, "they come")
        assert supervisor.board.assignments("a")[0].first_track_id == 4
        assert b'node="a"' in supervisor.metrics_text()

    in_world(cluster_url, tmp_path, work)


def subscribed(hub: Any) -> Subscription:
    from service.rights import LOCAL
    from service.subscription import SubscriptionFilter

    return hub.subscribe(SubscriptionFilter(), LOCAL)


def test_a_node_that_is_forgotten_while_it_has_a_peer_is_asked_for_nothing(cluster_url, tmp_path):
    async def work(world: World) -> None:
        await world.add_node("a")
        await world.add_node("b")
        supervisor, _ = await world.lead()
        await until(lambda: supervisor._links().keys() == {"a", "b"}, "both are linked")
        del supervisor.board.nodes["a"]  # as a look finds it, before the round has come to its peer
        assert supervisor.peers.keys() == {"a", "b"}
        assert supervisor._links().keys() == {"b"}

    in_world(cluster_url, tmp_path, work)


def test_a_node_that_lets_go_of_what_is_another_s_by_now_changes_nothing(cluster_url, tmp_path):
    async def work(world: World) -> None:
        await world.add_node("a")
        supervisor, _ = await world.lead()
        await world.add_stream(STREAM, supervisor)
        await until(lambda: supervisor.board.node_of(STREAM) == "a", "it is given")
        epoch = supervisor.board.leases[STREAM].epoch
        supervisor.board.released(STREAM, epoch - 1)
        assert supervisor.board.node_of(STREAM) == "a"
        supervisor.board.released("str_00000000000000ff", 1)
        assert supervisor.board.leases.keys() == {STREAM}

    in_world(cluster_url, tmp_path, work)
