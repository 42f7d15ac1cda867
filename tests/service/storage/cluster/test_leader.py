"""Who leads, over two real connections: what waits for what."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.orm import Session

from service.storage.cluster.leader import Candidate, Fenced, check_fence, go_on, take_over
from service.storage.database import make_engine, migrate
from tests.support.service import wait_for

WAITS = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")


@pytest.fixture
def engine(cluster_url: str) -> Iterator[Engine]:
    made = make_engine(cluster_url)
    migrate(made)
    yield made
    made.dispose()


@contextmanager
def without_transaction(engine: Engine) -> Iterator[Connection]:
    """A connection as the election has it, whose statements wait for nothing long."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 20000"))
        yield connection


def lead(engine: Engine, name: str, done: list[int] | None = None) -> int:
    with without_transaction(engine) as connection:
        epoch = take_over(connection, Candidate(name, f"http://{name}", ""))
    if done is not None:
        done.append(epoch)
    return epoch


def test_a_long_write_of_the_leader_does_not_keep_it_from_saying_that_it_lives(engine: Engine):
    epoch = lead(engine, "one")
    with Session(engine) as writing, without_transaction(engine) as beating:
        beating.execute(text("SET statement_timeout = 2000"))
        check_fence(writing, epoch)
        assert go_on(beating, epoch)
        check_fence(writing, epoch)  # and the write goes on beside it


def test_who_takes_over_waits_for_a_write_that_is_under_way_and_lets_none_begin(engine: Engine):
    epoch = lead(engine, "one")
    done: list[int] = []
    with Session(engine) as writing, without_transaction(engine) as looking:
        check_fence(writing, epoch)
        other = threading.Thread(target=lead, args=(engine, "two", done))
        other.start()
        wait_for(lambda: looking.execute(WAITS).scalar() == 1, 10, "the second waits")
        assert done == []
        writing.commit()
        other.join(20)
        assert done == [epoch + 1]
        with pytest.raises(Fenced, match=f"epoch {epoch + 1}, ours was {epoch}"):
            check_fence(writing, epoch)


def test_a_write_that_begins_while_another_takes_over_is_fenced(engine: Engine):
    """Taking over is one statement: nothing can begin between its look and its change."""
    epoch = lead(engine, "one")
    found: list[str] = []

    def write() -> None:
        with Session(engine) as session:
            try:
                check_fence(session, epoch)
            except Fenced as error:
                found.append(str(error))

    with engine.connect() as taking, without_transaction(engine) as looking:
        take_over(taking, Candidate("two", "", ""))
        writer = threading.Thread(target=write)
        writer.start()
        wait_for(lambda: looking.execute(WAITS).scalar() == 1, 10, "the write waits")
        taking.commit()
        writer.join(20)
    assert found == [f"another API leads the cluster by now (epoch {epoch + 1}, ours was {epoch})"]
