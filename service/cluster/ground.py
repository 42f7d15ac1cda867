"""What differs between one machine, an API that leads a cluster, and one that stands by: what the parts are made of."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sqlalchemy.orm import Session

from service.bucket.bucket import open_bucket
from service.cluster.cluster_bucket import ClusterBucket, open_cluster_bucket
from service.cluster.cluster_supervisor import ClusterSupervisor, Reign
from service.cluster.fetched_files import FetchedFiles
from service.cluster.links.addresses import cluster_database, watchful
from service.cluster.links.direct_link import DirectLinks
from service.cluster.links.errors import ClusterError
from service.cluster.links.link import Links
from service.cluster.links.ports import Ports
from service.cluster.links.ray_child import RayChild
from service.cluster.links.ray_setup import RaySetup, check_ray, own_address
from service.cluster.links.socket_link import SocketLinks
from service.cluster.links.token import check_token, ray_environment, read_token
from service.cluster.remote_recordings import RemoteRecordings, Ways
from service.cluster.standby import StandbyRecordings, StandbySupervisor
from service.cluster.strict_hub import StrictHub
from service.cluster.view import ClusterView
from service.hub import Hub
from service.recording.reconcile import Recordings
from service.recording.retention import Limits
from service.rights import ALL
from service.settings import Settings
from service.storage.cluster.leader import Candidate, check_fence
from service.storage.database import Database
from service.storage.store import Store
from service.supervisor_protocol import Supervisor

SupervisorFactory = Callable[[Settings, Hub, Store], Supervisor]


class Ground:
    """One machine: the parts are what they are called, and all of them work. ``cluster`` None: there is none."""

    works = True
    cluster: ClusterView | None = None

    def __init__(self, settings: Settings, factory: SupervisorFactory) -> None:
        self.settings = settings
        self._factory = factory

    def database(self) -> Database:
        return Database(self.settings.sqlalchemy_url())

    async def check(self, store: Store) -> None:
        """Before anything is made on what is stored. Raises ClusterError."""

    def recordings(self, store: Store, limits: Limits, database: Database) -> Recordings:
        """Raises BucketUnusable."""
        bucket = open_bucket(self.settings, database, limits.buffer_s)
        return Recordings(self.settings.recordings_dir, store, limits, bucket)

    def hub(self, store: Store) -> Hub:
        return Hub(store, self.settings.subscriber_queue, self.settings.tracks_hz)

    async def supervisor(self, hub: Hub, store: Store) -> Supervisor:
        return self._factory(self.settings, hub, store)


class ClusterGround(Ground):
    """An API of a cluster, which shares what is stored with others."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings = settings
        self._database = database

    def database(self) -> Database:
        return self._database

    async def check(self, store: Store) -> None:
        await _check_key(self.settings, store)

    def _bucket(self, limits: Limits) -> ClusterBucket | None:
        return open_cluster_bucket(self.settings, self._database, limits.buffer_s)


class StandbyGround(ClusterGround):
    """Reads are answered, nothing else is begun."""

    works = False

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, Database(watchful(cluster_database(settings))))
        self._supervisor = StandbySupervisor(self._database)
        self.cluster = ClusterView(self._database, None, self._supervisor.refusal)

    def recordings(self, store: Store, limits: Limits, database: Database) -> Recordings:
        folder, refusal = self.settings.recordings_dir, self._supervisor.refusal
        return StandbyRecordings(folder, store, limits, refusal, self._bucket(limits))

    async def supervisor(self, hub: Hub, store: Store) -> Supervisor:
        return self._supervisor


class LeadingGround(ClusterGround):
    """Everything works, under the epoch that this API leads with."""

    def __init__(self, settings: Settings, epoch: int, links: Links) -> None:
        def fence(session: Session) -> None:
            check_fence(session, epoch)

        super().__init__(settings, Database(watchful(cluster_database(settings)), fence))
        self._epoch = epoch
        self._links = links
        self._kept: RemoteRecordings | None = None

    def recordings(self, store: Store, limits: Limits, database: Database) -> Recordings:
        folder, ways = self.settings.recordings_dir, Ways(self._database, self._links, self._epoch)
        fetched = FetchedFiles(folder.resolve(), self.settings.extras_min_free_bytes)
        self._kept = RemoteRecordings(folder, store, limits, ways, fetched, self._bucket(limits))
        return self._kept

    def hub(self, store: Store) -> Hub:
        return StrictHub(store, self.settings.subscriber_queue, self.settings.tracks_hz)

    async def supervisor(self, hub: Hub, store: Store) -> Supervisor:
        """Raises ClusterError where the streams' addresses cannot be read: whoever leads has to know them."""
        if self._kept is None or not isinstance(hub, StrictHub):
            raise TypeError(f"expected the hub and the recordings of a leader, got {hub!r} and {self._kept!r}")
        reign = Reign(self._epoch, self._database, self._links, self._kept.add)
        supervisor = ClusterSupervisor(self.settings, hub, store, reign)
        self.cluster = ClusterView(self._database, supervisor, None)
        return supervisor


async def _check_key(settings: Settings, store: Store) -> None:
    records = await store.all_streams(ALL)
    if records and not any(record.url.get_secret_value() for record in records):
        raise ClusterError(
            f"{settings.data_dir / 'secret.key'} is not the key that the streams' URLs are sealed with: every API of a "
            "cluster needs the same one, copy it from the API that leads"
        )


@dataclass(frozen=True, slots=True)
class ClusterStart:
    """What an API of a cluster needs of its machine; made before anything is begun. Raises ClusterError."""

    candidate: Candidate
    setup: RaySetup
    environment: dict[str, str]
    token: str = field(repr=False)
    run_dir: Path

    @classmethod
    def of(cls, settings: Settings) -> ClusterStart:
        check_ray()
        token = check_token(settings.cluster_token)
        if Ports(settings.cluster_ports).overlap(settings.cluster_port):
            raise ClusterError(
                f"ACTOSCOPE_CLUSTER_PORT: expected none of the 100 ports from {settings.cluster_ports} on "
                f"(ACTOSCOPE_CLUSTER_PORTS), got {settings.cluster_port}"
            )
        run_dir = Path(tempfile.mkdtemp(prefix="actoscope-"))
        host = settings.cluster_host or own_address()
        address = f"{host}:{settings.cluster_port}"
        name, url = settings.node_name, settings.public_url or f"http://{host}:{settings.port}"
        setup = RaySetup(
            head=True,
            name=name,
            address=address,
            host=settings.cluster_host,
            socket=str(run_dir / "gate.sock"),
            ports=settings.cluster_ports,
            log_level=settings.log_level,
            log_format=settings.log_format,
        )
        return cls(Candidate(name, url, address), setup, ray_environment(token), read_token(token), run_dir)

    async def ground(self, settings: Settings, epoch: int, stack: AsyncExitStack) -> Ground:
        """``epoch`` 0: it stands by."""
        if not epoch:
            return StandbyGround(settings)
        child = RayChild(self.environment)
        stack.push_async_callback(child.close)
        child.open()
        child.go(asdict(self.setup))
        finding = SocketLinks(Path(self.setup.socket))
        stack.push_async_callback(finding.close)
        links = DirectLinks(finding, self.token)
        stack.push_async_callback(links.close)
        return LeadingGround(settings, epoch, links)

    def close(self) -> None:
        shutil.rmtree(self.run_dir, ignore_errors=True)
