"""What a node has to tell and has not told yet."""

import sqlite3

from service.cluster.agent.spool import Spool


def test_rows_outlive_the_process_and_go_once_acknowledged(tmp_path):
    spool = Spool(tmp_path / "spool.db")
    numbers = [spool.put("s", 1, "action", {"i": i}) for i in range(3)]
    again = Spool(tmp_path / "spool.db")
    assert again.id == spool.id and again.last > 3, "rows that a power cut took had numbers, too"
    assert [(row.n, row.body["i"]) for row in again.after(0, 10)] == list(zip(numbers, range(3), strict=True))
    again.acknowledge(2)
    assert [row.n for row in again.after(0, 10)] == [3] and again.rows == 1


def test_numbers_are_never_given_twice_also_when_all_is_acknowledged(tmp_path):
    spool = Spool(tmp_path / "spool.db")
    spool.acknowledge(spool.put("s", 1, "action", {}))
    assert Spool(tmp_path / "spool.db").put("s", 1, "action", {}) > 1


def test_a_full_spool_drops_presence_first_then_the_oldest_and_counts(tmp_path):
    spool = Spool(tmp_path / "spool.db", most=300)
    for i in range(300):
        spool.put("s", 1, "presence" if i % 2 else "action", {})
    spool.put("s", 1, "action", {})
    kinds = [row.kind for row in spool.after(0, 1000)]
    assert (spool.dropped, kinds.count("presence"), kinds.count("action")) == (100, 50, 151)
    for _ in range(200):
        spool.put("s", 1, "action", {})
    assert spool.rows <= 300 and spool.after(0, 1)[0].n > 1


def test_what_a_stream_said_under_an_epoch_that_is_over_goes_but_its_recordings_stay(tmp_path):
    spool = Spool(tmp_path / "spool.db")
    for kind in ("action", "recording"):
        spool.put("s", 1, kind, {})
    spool.put("s", 2, "action", {})
    assert spool.drop("s", 1) == 1
    assert [(row.epoch, row.kind) for row in spool.after(0, 10)] == [(1, "recording"), (2, "action")]


def test_a_disk_that_fails_is_counted_and_ends_nothing(tmp_path):
    spool = Spool(tmp_path / "spool.db")
    blocker = sqlite3.connect(tmp_path / "spool.db", isolation_level=None)
    blocker.execute("DROP TABLE rows")
    assert spool.put("s", 1, "action", {}) == 0 and spool.failed == 1
