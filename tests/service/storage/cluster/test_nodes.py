"""Where recordings lie."""

from __future__ import annotations

from service.storage.cluster import nodes
from service.storage.database import Database
from tests.service.storage.conftest import with_database


def test_more_recordings_are_asked_for_than_a_statement_has_parameters(cluster_url: str):
    async def work(database: Database) -> None:
        await database.write(lambda session: nodes.put_recording_node(session, "s/1.mp4", "a"))
        await database.write(lambda session: nodes.put_recording_node(session, "s/70000.mp4", "b"))
        asked = [f"s/{number}.mp4" for number in range(70_001)]
        found = await database.read(lambda session: nodes.recording_nodes(session, asked))
        assert found == {"s/1.mp4": "a", "s/70000.mp4": "b"}
        assert await database.read(lambda session: nodes.recording_nodes(session, [])) == {}

    with_database(cluster_url, work)
