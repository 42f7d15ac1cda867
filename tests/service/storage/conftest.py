"""The databases that tests of the store run on: SQLite, and PostgreSQL where a server can be started here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect

from service.storage.database import Database, make_engine, migrate
from service.storage.tables import Base
from tests.support.fresh_database import fresh_url
from tests.support.postgres import emptied


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a database as the service's first start makes it, without a row."""
    if request.param == "sqlite":
        return fresh_url(tmp_path)
    address: str = request.getfixturevalue("postgres_url")
    engine = make_engine(address)
    if "alembic_version" not in inspect(engine).get_table_names():
        migrate(engine)
    names = ", ".join(table.name for table in Base.metadata.sorted_tables)
    with engine.begin() as connection:  # cheaper than dropping and making them
        connection.exec_driver_sql("ALTER TABLE audit DISABLE TRIGGER ALL")
        connection.exec_driver_sql(f"TRUNCATE {names} RESTART IDENTITY")
        connection.exec_driver_sql("ALTER TABLE audit ENABLE TRIGGER ALL")
    engine.dispose()
    return address


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a database in which no migration has run."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'actoscope.db'}"
    return emptied(request.getfixturevalue("postgres_url"))


@pytest.fixture
def cluster_url(postgres_url: str) -> str:
    """A PostgreSQL without tables, for what runs on no other database."""
    return emptied(postgres_url)


def with_database(url: str, work: Callable[[Database], Awaitable[Any]]) -> Any:
    """Runs ``work`` on an opened database, → what it gives."""

    async def run() -> Any:
        database = Database(url)
        await database.open()
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())
