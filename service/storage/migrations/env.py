"""Alembic's entry point: runs revisions on the connection that ``database.migrate`` hands over."""

from __future__ import annotations

from alembic import context

from service.storage.tables import Base

connection = context.config.attributes.get("connection")
if connection is None:
    raise RuntimeError("migrations run inside the service: expected a connection from service.storage.database.migrate")
# SQLite cannot alter columns; in batch mode Alembic copies the table instead.
context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
