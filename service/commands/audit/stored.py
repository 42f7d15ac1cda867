"""The database of a service that may be running, for commands that only read it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from service.errors_base import ServiceError
from service.settings import load_settings
from service.storage.database import Database

T = TypeVar("T")


class NoDatabase(ServiceError, FileNotFoundError):
    """No service has run on this data folder yet."""


def with_database(work: Callable[[Database], Awaitable[T]]) -> T:
    """Runs ``work`` on the database that the settings name, as it is: tables are not brought up to date.

    Raises NoDatabase, SettingsError, StoreError.
    """
    settings = load_settings()
    if settings.database_url is None and not (settings.data_dir / "actoscope.db").exists():
        raise NoDatabase(f"there is no database in {settings.data_dir}: expected ACTOSCOPE_DATA_DIR of a service")

    async def run() -> T:
        database = Database(settings.sqlalchemy_url())
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())
