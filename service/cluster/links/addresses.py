"""How the cluster reaches PostgreSQL: never waiting for long on a server that is gone."""

from __future__ import annotations

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from service.cluster.links.errors import ClusterError
from service.settings import Settings

STATEMENT_MS = 5000
# A process that is stopped in the middle of a transaction holds rows that others wait for: the server ends it.
IDLE = "-c idle_in_transaction_session_timeout=10000"
# libpq's (33.1.2): a server that is gone is noticed within seconds, whether something is on its way to it or an answer
# is waited for; a machine that loses its power closes no connection.
REACH = {
    "connect_timeout": "3",
    "tcp_user_timeout": "5000",
    "keepalives": "1",
    "keepalives_idle": "2",
    "keepalives_interval": "1",
    "keepalives_count": "3",
}
EXPECTED = (
    "the cluster mode needs PostgreSQL: set ACTOSCOPE_DATABASE_URL to postgresql+psycopg://user:password@host/name"
)


def cluster_database(settings: Settings) -> str:
    """→ the URL of the database that the whole cluster shares. Raises ClusterError where that is none."""
    given = settings.database_url
    try:
        kind = "no database" if given is None else make_url(given.get_secret_value()).get_backend_name()
    except ArgumentError:
        kind = "something that is no URL"
    if given is None or kind not in ("postgresql", "postgres"):
        raise ClusterError(f"{EXPECTED}, got {kind}")
    return given.get_secret_value()


def watchful(url: str) -> str:
    """→ the same database, whose connections end when it is gone, or when this process is stopped in the middle of
    something. A statement may take as long as it takes.
    """
    return _with(url, {**REACH, "options": IDLE})


def impatient(url: str) -> str:
    """→ the same database, for what has to know soon that it is away, or that a statement is held up."""
    return _with(url, {**REACH, "options": f"{IDLE} -c statement_timeout={STATEMENT_MS}"})


def _with(url: str, options: dict[str, str]) -> str:
    return make_url(url).update_query_dict(options).render_as_string(hide_password=False)
