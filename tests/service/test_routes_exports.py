"""/v1/exports: from an order to a ZIP, by the real process; rights, refusals, cancelling, taken up again, kept."""

from __future__ import annotations

import asyncio
import shutil
import time
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import insert

from service.exports import desk as desk_module
from service.exports.maker import CaseFailed, CaseMaker
from service.exports.proof import verify_case
from service.ids import new_id
from service.storage.alert_tables import IncidentRow
from service.storage.database import StoreError
from service.storage.review.exports import ExportCamera, ExportRecord, ExportStore
from service.storage.segment import Segment
from service.storage.tables import EventRow
from service.wire_messages import rfc3339
from tests.service.conftest import RunningApi
from tests.service.exports.recorded import SIZE_HW, record
from tests.service.test_routes_streams import problem
from tests.support.service import wait_for

SECONDS = 4
BEGAN = float(int(time.time()) - 3600)


def add_recorded(api: RunningApi, began: float = BEGAN, **options: Any) -> str:
    """→ id of a stream with one recording of SECONDS."""
    stream_id: str = api.add(**options)["id"]
    folder = api.settings.recordings_dir.resolve() / stream_id
    piece = record(folder, 0, SECONDS)
    size = piece.path.stat().st_size
    segment = Segment(piece.path, piece.events_path, began, piece.start_s, float(SECONDS), 40, size, SIZE_HW, False)
    api.call(api.context.store.add_recording(segment))
    return stream_id


def span(*streams: str, **changes: Any) -> dict[str, Any]:
    return {"streams": list(streams), "since": rfc3339(BEGAN), "until": rfc3339(BEGAN + SECONDS), **changes}


def order(api: RunningApi, body: dict[str, Any]) -> dict[str, Any]:
    answer = api.client.post("/v1/exports", json=body)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/v1/exports/{answer.json()['id']}"
    return dict(answer.json())


def ended(api: RunningApi, export: dict[str, Any]) -> dict[str, Any]:
    def look() -> Any:
        now = api.client.get(f"/v1/exports/{export['id']}").json()
        return now if now["state"] in ("done", "failed") else None

    return dict(wait_for(look, 30, "the case"))


def add_event(api: RunningApi, stream_id: str, event_id: str = "evt_1", **changes: Any) -> None:
    row = {
        **{"id": event_id, "stream_id": stream_id, "track_id": 1, "action": "squat", "kind": "ended"},
        **{"confidence": 0.9, "peak_confidence": 0.9, "start_s": 1.0, "end_s": 2.0, "last_seq": 0},
        **{"started_at": BEGAN + 1, "updated_at": BEGAN + 2, "ended_at": BEGAN + 2},
    }
    api.call(api.context.database.write(lambda session: session.execute(insert(EventRow), [row | changes])))


def add_incident(api: RunningApi, stream_id: str, **changes: Any) -> str:
    row = {
        **{"id": new_id("inc"), "rule_id": "rul_1", "rule_name": "Squats", "stream_id": stream_id, "state": "ended"},
        **{"severity": "alert", "tracks": [1], "events": ["evt_1"], "start_s": 1.0, "terms": {"kind": "action"}},
        **{"started_at": BEGAN + 1, "updated_at": BEGAN + 2, "ended_at": BEGAN + 2},
    }
    api.call(api.context.database.write(lambda session: session.execute(insert(IncidentRow), [row | changes])))
    return str(row["id"])


def add_export(api: RunningApi, stream_id: str) -> str:
    """→ id of a case that is done; its file is none."""
    asked = new_id("exp"), "Done", (ExportCamera(stream_id, "Gate"),), BEGAN, BEGAN + SECONDS, "nina", time.time()
    record = ExportRecord(*asked, state="done", bytes=4, sha256="0" * 64)
    api.call(api.context.exports.exports.add(record, 500, 16))
    folder = api.settings.data_dir / "exports" / record.id
    folder.mkdir(parents=True)
    (folder / "case.zip").write_bytes(b"PK\x03\x04")
    return record.id


def test_span_of_cameras_becomes_a_case_that_verifies(api: RunningApi):
    gate, yard = add_recorded(api, name="Gate"), add_recorded(api, name="Yard")
    add_event(api, gate)
    export = order(api, span(gate, yard, name="Both"))
    assert (export["name"], export["state"], export["file"], export["by"]) == ("Both", "queued", None, "local")
    done = ended(api, export)
    assert (done["state"], done["progress"], done["eta_s"], done["streams"]) == ("done", 1.0, None, [gate, yard])
    answer = api.client.get(done["file"])
    assert (answer.headers["content-type"], len(answer.content)) == ("application/zip", done["bytes"])
    part = api.client.get(done["file"], headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"PK\x03\x04")
    path = api.settings.data_dir / "exports" / done["id"] / "case.zip"
    verdict = verify_case(path)
    assert verdict.problems == [] and [each["pictures"] for each in verdict.manifest["cameras"]] == [40, 40]
    assert api.client.get("/v1/exports").json()["items"] == [done]
    with zipfile.ZipFile(path) as archive:
        assert b"squat" in archive.read("events.csv")


def test_incident_and_event_name_their_span_their_people_and_themselves(api: RunningApi):
    gate = add_recorded(api, name="Gate")
    add_event(api, gate)
    incident = add_incident(api, gate)
    for body, name in (({"incident": incident}, "Squats"), ({"event": "evt_1"}, "squat")):
        done = ended(api, order(api, {**body, "seconds_around": 0.5, "pixelate_others": True}))
        assert (done["name"], done["since"], done["until"]) == (name, rfc3339(BEGAN + 0.5), rfc3339(BEGAN + 2.5))
        manifest = verify_case(api.settings.data_dir / "exports" / done["id"] / "case.zip").manifest
        (camera,) = manifest["cameras"]
        assert (camera["made"], camera["not_pixelated"]) == ("encoded", [1])
        assert camera["pictures_with_people_pixelated"] == camera["pictures"] == 21


@pytest.mark.parametrize("kind", ["incident", "event"])
def test_cvat_of_more_than_an_hour_is_refused_whatever_names_the_span(api: RunningApi, kind: str):
    gate, began = add_recorded(api), BEGAN - 3700
    add_event(api, gate, started_at=began)
    body = {kind: {"incident": add_incident(api, gate, started_at=began), "event": "evt_1"}[kind], "cvat": True}
    assert "an hour at most" in problem(api.client.post("/v1/exports", json=body), 422)["detail"]
    assert api.client.post("/v1/exports", json=body | {"cvat": False}).status_code == 202


WAYS_TO_ASK: list[dict[str, str]] = [
    *({"Range": text} for text in ("bytes=0-", "bytes=2-3", "bytes=-999999999", "x=1", "bytes=1-2,0-", "bytes=3-1")),
    {"Range": "bytes=1-", "If-Range": '"another"'},
]


@pytest.mark.parametrize("headers", WAYS_TO_ASK)
def test_whoever_gets_any_part_of_a_case_is_a_row_an_hour(api: RunningApi, headers: dict[str, str]):
    case = add_export(api, add_recorded(api))
    path = f"/v1/exports/{case}/case.zip"

    def rows() -> list[str]:
        return [row["object"] for row in api.client.get("/v1/audit?action=exports:read").json()["items"]]

    assert api.client.head(path).status_code == 200
    assert api.client.get(path, headers={"If-None-Match": "*"}).status_code == 304
    assert api.client.get(path, headers={"Range": "bytes=4-"}).status_code == 416
    assert rows() == []
    for _ in range(2):
        assert api.client.get(path, headers=headers).status_code in (200, 206)
        assert rows() == [case]


def test_orders_and_downloads_stand_in_the_audit(api: RunningApi):
    gate = add_recorded(api)
    done = ended(api, order(api, span(gate)))
    api.client.get(done["file"])
    api.client.get(done["file"], headers={"Range": "bytes=100-"})
    assert api.client.delete(f"/v1/exports/{done['id']}").status_code == 204
    rows = [row for row in api.client.get("/v1/audit").json()["items"] if row["object"] == done["id"]]
    assert [row["action"] for row in rows] == ["exports:write", "exports:read", "exports:made", "exports:write"]
    assert rows[2]["detail"]["sha256"] == done["sha256"]
    assert rows[3]["detail"]["streams"] == [gate]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"until": "2096-05-04T03:02:01Z"}, "a time that is past"),
        ({"until": rfc3339(BEGAN)}, "a week at most"),
        ({"since": "2020-05-04T03:02:01Z"}, "a week at most"),
        ({"since": "2026-05-04T03:02:01"}, "timezone"),
        ({"since": "0001-01-01T00:00:00+14:00"}, "the years 1970 to 2999"),
        ({"streams": []}, "at least 1 item"),
        ({"streams": ["gate"]}, "pattern"),
        ({"streams": ["str_000000000000000a"] * 2}, "every stream once"),
        ({"incident": "inc_0123456789abcdef"}, "or `incident`, or `event`"),
        ({"since": None}, "or `incident`, or `event`"),
        ({"keep_tracks": [["str_000000000000000a", -1]]}, "greater than or equal to 0"),
        ({"keep_tracks": [["str_000000000000000a"]]}, "a value"),
        ({"seconds_around": 1e9}, "less than or equal to 600"),
        ({"name": "\x00"}, "pattern"),
        ({"cvat": True, "since": rfc3339(BEGAN - 4000)}, "an hour at most"),
        ({"speed": 2}, "only known fields"),
    ],
)
def test_order_that_cannot_be_is_refused_with_what_was_expected(
    shared_api: RunningApi, changes: dict[str, Any], expected: str
):
    body = span("str_000000000000000a", **changes)
    assert expected in problem(shared_api.client.post("/v1/exports", json=body), 422)["detail"]


@pytest.mark.parametrize(
    "body", [{"incident": "inc_0123456789abcdef"}, {"event": "evt_0123456789abcdef"}, span("str_0123456789abcdef")]
)
def test_order_of_what_there_is_not_is_not_found(shared_api: RunningApi, body: dict[str, Any]):
    problem(shared_api.client.post("/v1/exports", json=body), 404)


def test_rights_follow_every_camera_of_a_case(api: RunningApi):
    gate, yard = add_recorded(api), add_recorded(api)
    both = ended(api, order(api, span(gate, yard)))
    api.add_user("root", "admin")
    api.log_in("root")
    later = {"grants": [{"role": "operator", "streams": gate, "history_since": rfc3339(BEGAN + 1)}]}
    people = {
        "nina": api.add_user("nina", "operator", gate),
        "late": api.add_user("late", "operator", gate, **later),
        "vera": api.add_user("vera", "viewer"),
    }
    seen = {}
    for name in people:
        client = api.visitor()
        api.log_in(name, client)
        seen[name] = client
    for name in ("nina", "late"):
        problem(seen[name].get(f"/v1/exports/{both['id']}"), 404)
        problem(seen[name].get(both["file"]), 404)
        assert seen[name].get("/v1/exports").json()["items"] == []
    problem(seen["nina"].post("/v1/exports", json=span(gate, yard)), 404)
    problem(seen["late"].post("/v1/exports", json=span(yard)), 404)
    assert "is shown to you" in problem(seen["late"].post("/v1/exports", json=span(gate)), 422)["detail"]
    assert seen["nina"].post("/v1/exports", json=span(gate)).status_code == 202
    assert seen["vera"].get(both["file"]).status_code == 200
    problem(seen["vera"].post("/v1/exports", json=span(gate)), 403)
    problem(seen["vera"].delete(f"/v1/exports/{both['id']}"), 403)


def test_case_waits_until_what_is_being_recorded_is_finished(api: RunningApi):
    began = time.time() - SECONDS - 1
    stream = add_recorded(api, began, record=True)
    body = {"streams": [stream], "since": rfc3339(began), "until": rfc3339(time.time())}
    export = order(api, body)

    def waits() -> Any:
        now = api.client.get(f"/v1/exports/{export['id']}").json()
        return now if now["reason"] else None

    assert wait_for(waits, 5, "a reason")["state"] == "queued"
    assert api.client.delete(f"/v1/exports/{export['id']}").status_code == 204


def test_recordings_that_a_case_needs_outlive_their_limits(api: RunningApi, monkeypatch: pytest.MonkeyPatch):
    stream = add_recorded(api)
    hold(monkeypatch)
    export = order(api, span(stream))
    retain = api.context.recordings.retain
    assert api.call(retain(time.time() + 1e9)) == 0
    api.client.delete(f"/v1/exports/{export['id']}")
    assert api.call(retain(time.time() + 1e9)) == 1


def hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cases wait."""

    async def still_recorded(self: object, record: ExportRecord, now: float) -> str:
        return "held by the test"

    monkeypatch.setattr("service.exports.contents.Archive.still_recorded", still_recorded)


def test_so_many_wait_and_no_more_and_a_full_disk_is_said_before(api: RunningApi, monkeypatch: pytest.MonkeyPatch):
    stream = add_recorded(api)
    hold(monkeypatch)
    monkeypatch.setattr(desk_module, "MOST_WAITING", 1)
    order(api, span(stream))
    assert "1 cases wait" in problem(api.client.post("/v1/exports", json=span(stream)), 409)["detail"]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1_000_000, "total": 1, "used": 1}))
    assert "there is no room for it" in problem(api.client.post("/v1/exports", json=span(stream)), 409)["detail"]


def test_case_leaves_recordings_the_room_they_need(api: RunningApi, monkeypatch: pytest.MonkeyPatch):
    stream = add_recorded(api)
    hold(monkeypatch)
    for times, status in ((2.9, 409), (3.1, 202)):
        free = int(times * api.settings.recordings_min_free_mb * 1_000_000)
        usage = type("Usage", (), {"free": free, "total": 1, "used": 1})
        monkeypatch.setattr(shutil, "disk_usage", lambda _, usage=usage: usage)
        assert api.client.post("/v1/exports", json=span(stream)).status_code == status


def test_case_that_is_deleted_while_it_is_made_leaves_nothing(api: RunningApi, monkeypatch: pytest.MonkeyPatch):
    stream = add_recorded(api)
    makers: list[CaseMaker] = []
    run = CaseMaker.run

    async def begun(self: CaseMaker) -> Any:
        makers.append(self)
        return await run(self)

    monkeypatch.setattr(CaseMaker, "run", begun)
    export = order(api, span(stream, overlay=True))
    wait_for(lambda: makers and makers[0]._process, 10, "its process")
    assert api.client.delete(f"/v1/exports/{export['id']}").status_code == 204
    problem(api.client.get(f"/v1/exports/{export['id']}"), 404)
    folder = api.settings.data_dir / "exports"
    wait_for(lambda: makers[0]._process.returncode is not None and not list(folder.iterdir()), 10, "nothing left")  # type: ignore[union-attr]


def test_failure_says_why(api: RunningApi, monkeypatch: pytest.MonkeyPatch):
    async def run(self: CaseMaker) -> Any:
        raise CaseFailed("the disk is full")

    monkeypatch.setattr(CaseMaker, "run", run)
    failed = ended(api, order(api, span(add_recorded(api))))
    assert (failed["state"], failed["reason"], failed["file"]) == ("failed", "the disk is full", None)
    problem(api.client.get(f"/v1/exports/{failed['id']}/case.zip"), 404)


def half_written(api: RunningApi, attempts: int) -> ExportRecord:
    """A case whose service was killed while it was made: row and files as they were then."""
    stream = add_recorded(api)
    asked = new_id("exp"), "Killed", (ExportCamera(stream, "Gate"),), BEGAN, BEGAN + SECONDS, "nina", time.time()
    left = ExportRecord(*asked, state="running", attempts=attempts)
    api.call(api.context.exports.exports.add(left, 500, 16))
    folder = api.settings.data_dir / "exports" / left.id
    (folder / "work").mkdir(parents=True)
    (folder / "case.zip.part").write_bytes(b"half")
    (folder / "work" / "video.mp4").write_bytes(b"half")
    return left


@pytest.mark.parametrize(("attempts", "state"), [(1, "done"), (3, "failed")])
def test_case_that_a_kill_left_is_made_anew_by_the_next_start(
    run_api: Callable[..., RunningApi], monkeypatch: pytest.MonkeyPatch, attempts: int, state: str
):
    with monkeypatch.context() as held:
        hold(held)
        api = run_api()
        left = half_written(api, attempts)
        (api.settings.data_dir / "exports" / "exp_unknown").mkdir()
        api.stop()
    again = run_api()
    done = ended(again, {"id": left.id})
    folder = again.settings.data_dir / "exports"
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    assert done["state"] == state
    assert names == ([left.id, f"{left.id}/case.zip"] if state == "done" else [])
    if state == "failed":
        assert "3 times" in done["reason"]


def test_end_in_good_order_is_no_attempt(run_api: Callable[..., RunningApi], monkeypatch: pytest.MonkeyPatch):
    async def run(self: CaseMaker) -> Any:
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(CaseMaker, "run", run)
        api = run_api()
        export = order(api, span(add_recorded(api)))
        path = f"/v1/exports/{export['id']}"
        wait_for(lambda: api.client.get(path).json()["state"] == "running", 5, "the beginning")
        api.stop()
    again = run_api()
    assert ended(again, export)["state"] == "done"


def test_service_ends_while_a_case_is_made_and_the_database_is_away(api: RunningApi, monkeypatch: pytest.MonkeyPatch):
    async def run(self: CaseMaker) -> Any:
        await asyncio.Event().wait()

    async def away(self: ExportStore, *_: Any) -> Any:
        raise StoreError("database: the server is away")

    async def closed() -> bool:
        done, _ = await asyncio.wait({asyncio.ensure_future(api.context.exports.close())}, timeout=5)
        return bool(done)

    with monkeypatch.context() as patched:
        patched.setattr(CaseMaker, "run", run)
        path = f"/v1/exports/{order(api, span(add_recorded(api)))['id']}"
        wait_for(lambda: api.client.get(path).json()["state"] == "running", 5, "the beginning")
        for name in ("put_back", "ids", "open_ones"):
            patched.setattr(ExportStore, name, away)
        assert api.call(closed())
