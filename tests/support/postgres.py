"""A PostgreSQL for tests of what the service stores, one a test process."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.storage import alert_tables  # noqa: F401 - their tables belong to the metadata
from service.storage.access import tables as access_tables  # noqa: F401 - their tables are dropped too
from service.storage.cluster import tables as cluster_tables  # noqa: F401 - their tables are dropped too
from service.storage.database import make_engine
from service.storage.review import export_tables, shadow_tables  # noqa: F401 - their tables are dropped too
from service.storage.review import tables as review_tables  # noqa: F401 - their tables are dropped too
from service.storage.tables import Base
from service.storage.trainings import tables as training_tables  # noqa: F401 - their tables belong to the metadata
from tests.support.service import free_port


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL of our own on a loopback port; ``ACTOSCOPE_TEST_POSTGRES`` names one that runs already."""
    given = os.environ.get("ACTOSCOPE_TEST_POSTGRES")
    if given:
        emptied(given)
        yield given
        return
    try:
        # Not below pytest's own folder: each run that begins closes that to other users.
        with tempfile.TemporaryDirectory(prefix="actoscope-postgres-") as folder, own_server(Path(folder)) as server:
            yield server.url
    except NoServer as error:
        pytest.skip(str(error))


class NoServer(RuntimeError):
    """PostgreSQL cannot be started here."""


@dataclass(frozen=True)
class Server:
    url: str
    process: subprocess.Popen[bytes]


@contextmanager
def own_server(folder: Path) -> Iterator[Server]:
    """A PostgreSQL on a loopback port. ``folder``: for its files; it is given to another user where this one is root,
    to whom the way there has to be open. Raises NoServer."""
    programs = [
        shutil.which(name) or next(iter(sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None)
        for name in ("initdb", "postgres")
    ]
    if None in programs:
        raise NoServer("PostgreSQL is not installed")
    initdb, postgres = map(str, programs)
    port = free_port()
    prefix: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        if shutil.which("runuser") is None or subprocess.call(["id", "nobody"], stdout=subprocess.DEVNULL):
            raise NoServer("PostgreSQL does not run as root, and there is no other user to run it as")
        prefix = ["runuser", "-u", "nobody", "--"]
        shutil.chown(folder, "nobody")
    command = [*prefix, initdb, "-D", str(folder / "db"), "-A", "trust", "-U", "actoscope"]
    made = subprocess.run(command, check=False, capture_output=True, cwd="/")
    if made.returncode:
        raise NoServer(f"initdb does not run here: {made.stderr.decode()[-200:]}")
    options = ["-D", str(folder / "db"), "-p", str(port), "-c", "listen_addresses=127.0.0.1", "-k", str(folder), "-F"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([*prefix, postgres, *options], stdout=log, stderr=log, cwd="/")
    try:
        url = f"postgresql://actoscope@127.0.0.1:{port}/postgres"
        _wait_for_database(url, server)
        yield Server(url, server)
    finally:
        server.terminate()
        server.wait(20)


def _wait_for_database(url: str, server: subprocess.Popen[bytes]) -> None:
    import psycopg

    while server.poll() is None:
        try:
            psycopg.connect(url, connect_timeout=2).close()
            return
        except psycopg.OperationalError:
            time.sleep(0.05)
    raise NoServer("PostgreSQL does not start here")


def emptied(address: str) -> str:
    """→ the same address, without a table."""
    engine = make_engine(address)
    Base.metadata.drop_all(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE IF EXISTS alembic_version")
    engine.dispose()
    return address
