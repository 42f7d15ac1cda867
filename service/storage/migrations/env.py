"""Alembic's entry point: runs revisions on the connection that ``database.migrate`` hands over."""

from __future__ import annotations

from alembic import context

from service.storage import alert_tables  # noqa: F401 - their tables belong to the metadata
from service.storage.access import tables as access_tables  # noqa: F401 - their tables belong to the metadata
from service.storage.cluster import tables as cluster_tables  # noqa: F401 - their tables belong to the metadata
from service.storage.review import (
    export_tables,  # noqa: F401 - their tables belong to the metadata
    shadow_tables,  # noqa: F401 - their tables belong to the metadata
)
from service.storage.review import tables as review_tables  # noqa: F401 - their tables belong to the metadata
from service.storage.tables import Base
from service.storage.trainings import tables as training_tables  # noqa: F401 - their tables belong to the metadata

connection = context.config.attributes.get("connection")
if connection is None:
    raise RuntimeError("migrations run inside the service: expected a connection from service.storage.database.migrate")
# SQLite cannot alter columns; in batch mode Alembic copies the table instead.
context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
