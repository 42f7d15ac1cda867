"""A cluster: its nodes, leases of streams, who leads, where recordings lie."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_DOUBLE = sa.Float(53)


def upgrade() -> None:
    op.create_table(
        "nodes",
        sa.Column("name", sa.String(60), primary_key=True),
        sa.Column("incarnation", sa.String(40), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("cores", sa.Integer(), nullable=False),
        sa.Column("gpus", sa.Integer(), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("load", _DOUBLE, nullable=False),
        sa.Column("ready", sa.Boolean(), nullable=False),
        sa.Column("draining", sa.Boolean(), nullable=False),
        sa.Column("started_at", _DOUBLE, nullable=False),
        sa.Column("seen_at", _DOUBLE, nullable=False),
    )
    op.create_table(
        "stream_leases",
        sa.Column("stream_id", sa.String(40), primary_key=True),
        sa.Column("node", sa.String(60), nullable=True),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", _DOUBLE, nullable=False),
        sa.Column("next_track", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "stream_placements",
        sa.Column("stream_id", sa.String(40), primary_key=True),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("pin", sa.Text(), nullable=False),
    )
    op.create_table(
        "cluster_leader",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("ray_address", sa.Text(), nullable=False),
        sa.Column("backend", sa.Integer(), nullable=False),
        sa.Column("renewed_at", _DOUBLE, nullable=False),
    )
    op.create_table(
        "node_spools",
        sa.Column("node", sa.String(60), primary_key=True),
        sa.Column("spool", sa.String(40), nullable=False),
        sa.Column("taken", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "recording_nodes",
        sa.Column("path", sa.Text(), primary_key=True),
        sa.Column("node", sa.String(60), nullable=False),
    )
    op.create_table(
        "model_pointers",
        sa.Column("alias", sa.Text(), primary_key=True),
        sa.Column("content", sa.Text(), nullable=False),
    )
    if op.get_bind().dialect.name == "postgresql":  # room in each page, so that a renewal stays in it (HOT)
        op.execute("ALTER TABLE stream_leases SET (fillfactor = 50)")
        op.execute("ALTER TABLE nodes SET (fillfactor = 50)")


def downgrade() -> None:
    for table in (
        "model_pointers",
        "recording_nodes",
        "node_spools",
        "cluster_leader",
        "stream_placements",
        "stream_leases",
        "nodes",
    ):
        op.drop_table(table)
