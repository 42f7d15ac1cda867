"""How the cluster reaches PostgreSQL: never waiting for long on a server that is gone."""

from __future__ import annotations

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from service.cluster.links.errors import ClusterError
from service.settings import Settings

CONNECT_S = 3
STATEMENT_MS = 5000
SILENCE_MS = 5000  # what was sent and is not confirmed for so long ends the connection
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


def impatient(url: str) -> str:
    """→ the same database, for what has to know soon that it is away."""
    limits = {
        "connect_timeout": str(CONNECT_S),
        "tcp_user_timeout": str(SILENCE_MS),
        "options": f"-c statement_timeout={STATEMENT_MS}",
    }
    return make_url(url).update_query_dict(limits).render_as_string(hide_password=False)
