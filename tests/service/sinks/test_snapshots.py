"""Pictures for letters: here, in the bucket alone, or nowhere."""

from __future__ import annotations

from service.sinks.snapshots import Snapshots
from tests.models.store.conftest import aws, bucket, credentials, proxy  # noqa: F401 - fixtures
from tests.service.bucket.conftest import Run, World, run  # noqa: F401 - a fixture
from tests.service.test_routes_media import INCIDENT, PICTURE, incident
from tests.support.s3 import GONE, FaultProxy


def test_picture_that_is_in_the_bucket_alone_goes_with_the_letter_where_that_answers(
    run: Run,  # noqa: F811
    proxy: FaultProxy,  # noqa: F811
):
    async def work(world: World) -> None:
        folder = world.folder / "incidents"
        picture = folder / INCIDENT / "snapshot.jpg"
        picture.parent.mkdir(parents=True)
        picture.write_bytes(PICTURE)
        row = incident(INCIDENT, "str_a", clip_path=None)
        await world._database.write(lambda session: session.add(row))
        snapshots = Snapshots(world._database, folder, world.bucket)
        assert await snapshots.read(INCIDENT) == PICTURE
        await world.work()
        assert not picture.exists()
        assert await snapshots.read(INCIDENT) == PICTURE
        assert await Snapshots(world._database, folder).read(INCIDENT) is None
        proxy.judge = lambda method, path: GONE
        assert await snapshots.read(INCIDENT) is None

    run(work)
