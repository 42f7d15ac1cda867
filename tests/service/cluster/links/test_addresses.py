"""How connections to PostgreSQL end when it is gone: what the kernel is told of each."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping

import pytest
from sqlalchemy import text

from service.cluster.links.addresses import REACH, impatient, watchful
from service.storage.database import make_engine

WATCHED: Mapping[str, tuple[int, int, int]] = {  # option → level, number, value
    "keepalives": (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    "keepalives_idle": (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 2),
    "keepalives_interval": (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1),
    "keepalives_count": (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    "tcp_user_timeout": (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 5000),
}


@pytest.mark.parametrize(("made", "statement_timeout"), [(watchful, "0"), (impatient, "5s")])
def test_a_server_that_is_gone_ends_the_connection_within_seconds(
    cluster_url: str, made: Callable[[str], str], statement_timeout: str
):
    engine = make_engine(made(cluster_url))
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        with socket.socket(fileno=os.dup(driver.fileno())) as peer:
            found = {name: peer.getsockopt(level, number) for name, (level, number, _) in WATCHED.items()}
        assert found == {name: value for name, (_, _, value) in WATCHED.items()}
        assert connection.execute(text("SHOW statement_timeout")).scalar() == statement_timeout
        assert connection.execute(text("SHOW idle_in_transaction_session_timeout")).scalar() == "10s"
    engine.dispose()
    assert set(REACH) == {*WATCHED, "connect_timeout"}
