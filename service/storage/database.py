"""The database engine: SQLite in WAL mode or PostgreSQL, its migrations, and the threads that talk to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import alembic.command
import alembic.config
from alembic.migration import MigrationContext
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.orm import Session

from service.errors_base import ServiceError

log = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_TIMEOUT_MS = 5000
READ_THREADS = 4
MAX_WAITING = 64  # calls that wait for a thread; more wait on the event loop, holding no thread

T = TypeVar("T")


class StoreError(ServiceError, OSError):
    """The database cannot be reached, read or written (disk full, locked, server away)."""


def make_engine(url: str) -> Engine:
    """→ an engine for ``sqlite:///…`` or ``postgresql…``; a plain ``postgresql://`` means psycopg 3.

    ``hide_parameters`` keeps values out of exception texts. Raises StoreError for any other kind of URL.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError("ACTOSCOPE_DATABASE_URL: expected postgresql+psycopg://user:password@host/name") from None
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    kind = parsed.get_backend_name()
    if kind == "postgresql":
        return create_engine(parsed, hide_parameters=True, pool_pre_ping=True, pool_size=READ_THREADS + 1)
    if kind != "sqlite":
        raise StoreError(f"ACTOSCOPE_DATABASE_URL: expected SQLite or PostgreSQL, got {kind}")
    engine = create_engine(parsed, hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")  # first: switching to WAL needs the lock
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA secure_delete = FAST")  # what is changed or deleted leaves no copy in its page
    cursor.close()


def migrate(engine: Engine) -> None:
    """Brings the tables to the newest revision. Safe to call at every start."""
    config = alembic.config.Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":  # several APIs may start at once: one after the other
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(1229782938247303441)")
        config.attributes["connection"] = connection
        before = MigrationContext.configure(connection).get_current_revision()
        alembic.command.upgrade(config, "head")
        after = MigrationContext.configure(connection).get_current_revision()
    if before not in (None, after):
        _forget(engine)


def _forget(engine: Engine) -> None:
    """What a migration took away (passwords that older versions stored in clear) still stands in pages not in use."""
    sqlite = engine.dialect.name == "sqlite"
    log.info("the database was upgraded and is written anew without its old pages: a large one takes a while")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in ("VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)") if sqlite else ("VACUUM FULL streams",):
            try:
                connection.exec_driver_sql(statement)
            except SQLAlchemyError as error:  # most likely a full disk, which must not keep cameras from being watched
                log.warning("the database's old pages could not be cleaned: %s", getattr(error, "orig", None) or error)


async def migrated(url: str) -> None:
    """Brings a database to the newest revision before anybody works with it. Raises StoreError."""
    database = Database(url)
    try:
        await database.open()
    finally:
        await database.close()


class Database:
    """Runs functions of a Session on threads, one that writes and a few that read: the event loop waits on no disk."""

    def __init__(self, url: str, fence: Callable[[Session], None] | None = None) -> None:
        """``fence`` begins every transaction of ``write``, and raises StoreError where it must not be."""
        self._engine = make_engine(url)
        self._fence = fence
        self._writer = ThreadPoolExecutor(1, "store-write")
        self._readers = ThreadPoolExecutor(READ_THREADS, "store-read")
        self._slots = asyncio.Semaphore(MAX_WAITING)

    async def open(self) -> None:
        await self._run(self._writer, lambda: migrate(self._engine))

    async def close(self) -> None:
        await asyncio.to_thread(self._writer.shutdown)
        await asyncio.to_thread(self._readers.shutdown)
        self._engine.dispose()

    async def write(self, work: Callable[[Session], T]) -> T:
        """One transaction on the writing thread, in the order of the calls. Raises StoreError, nothing is kept then."""
        return await self._run(self._writer, lambda: self._in_session(self._fenced(work)))

    def _fenced(self, work: Callable[[Session], T]) -> Callable[[Session], T]:
        fence = self._fence
        if fence is None:
            return work

        def behind(session: Session) -> T:
            fence(session)
            return work(session)

        return behind

    async def read(self, work: Callable[[Session], T]) -> T:
        """Raises StoreError."""
        return await self._run(self._readers, lambda: self._in_session(work))

    def _in_session(self, work: Callable[[Session], T]) -> T:
        with Session(self._engine) as session, session.begin():
            return work(session)

    async def _run(self, executor: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        async with self._slots:
            try:
                return await asyncio.get_running_loop().run_in_executor(executor, work)
            except SQLAlchemyError as error:
                # The driver's own words only: SQLAlchemy's text repeats the whole statement.
                cause = getattr(error, "orig", None) or error
                raise StoreError(f"database: {cause}") from error
