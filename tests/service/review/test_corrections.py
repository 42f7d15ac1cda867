"""From a verdict to its clip on disk: over the API, with real recordings; kills, retention and deletion in between."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete
from sqlalchemy.orm import Session

from models.data.clip_file import read_clip
from models.data.imports.corrections import CorrectionFacts, read_facts, write_facts
from pipeline.files import file_sha256
from service.recording.segment_files import inspect
from service.review import keeper as keeper_module
from service.review.folder import CorrectionFolder
from service.rights import ALL
from service.storage.review.records import VerdictRecord
from service.storage.tables import EventRow, RecordingRow
from service.wire_messages import rfc3339
from tests.service.conftest import RunningApi, action
from tests.service.review.footage import TRACK, record
from tests.service.test_routes_streams import problem
from tests.support.places import REPOSITORY
from tests.support.service import wait_for

BEGIN = float(round(time.time() - 3600))  # long over, but not so old that retention deletes it


def event_of(api: RunningApi, stream: str, event_id: str = "evt_1", start_s: float = 3.0, **changes: Any) -> str:
    async def publish() -> None:
        at = {"captured_at": rfc3339(BEGIN + start_s), "start_s": start_s, "stream_id": stream, "track_id": TRACK}
        await api.context.hub.publish_action(action(event_id, **{**at, **changes}))
        ended = {**at, "captured_at": rfc3339(BEGIN + start_s + 1), "end_s": start_s + 1.0, **changes}
        await api.context.hub.publish_action(action(event_id, "ended", **ended))
        await api.context.hub.flush()

    api.call(publish())
    return event_id


def recorded(api: RunningApi, stream: str, overlay: bool = False, **options: Any) -> Path:
    video = record(api.settings.recordings_dir / stream, BEGIN, 0.0, 8, overlay=overlay, **options)
    segment = inspect(video, stream)
    assert segment is not None
    api.call(api.context.store.add_recording(segment))
    return video


def judge(api: RunningApi, event_id: str, **said: Any) -> dict[str, Any]:
    answer = api.client.put(f"/v1/events/{event_id}/verdict", json=said)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def corrections(api: RunningApi) -> list[dict[str, Any]]:
    return list(api.client.get("/v1/corrections").json()["items"])


def full_disk(*_: Any) -> str:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def settled(api: RunningApi, verdict_id: str) -> dict[str, Any]:
    def found() -> Any:
        return next((each for each in corrections(api) if each["id"] == verdict_id and each["clip"] != "pending"), None)

    correction: dict[str, Any] = wait_for(found, 20, "the clip or why there is none")
    return correction


def facts(api: RunningApi, verdict_id: str) -> CorrectionFacts:
    return read_facts(api.settings.corrections_dir / verdict_id)


def test_verdict_stores_its_clip_with_all_that_a_training_needs(api: RunningApi):
    stream = api.add(name="Gate", record=True)["id"]
    recorded(api, stream)
    event_of(api, stream, model="surveillance")
    said = judge(api, "evt_1", verdict="wrong", label="squat")
    assert (said["version"], said["by"], said["start_s"], said["end_s"]) == (1, "local", 3.0, 4.0)
    correction = settled(api, said["id"])
    assert correction == {
        **{"id": said["id"], "event_id": "evt_1", "stream_id": stream, "track_id": TRACK, "label": "squat"},
        **{"verdict": "wrong", "said": "push up", "by": "local", "at": said["at"]},
        **{"split": "train", "clip": "stored", "clip_reason": ""},
    }
    folder = api.settings.corrections_dir / said["id"]
    assert sorted(path.name for path in folder.iterdir()) == ["clip.mp4", "label.json"]
    assert read_clip(folder / "clip.mp4").shape == (114, 224, 224, 3)
    known = facts(api, said["id"])
    assert (known.label, known.said, known.stream_name) == ("squat", "push up", "Gate")
    assert (known.group, known.superseded_by) == (f"{stream}/evt_1", None)
    assert (known.model, known.model_version, known.near_threshold) == ("surveillance", "surveillance", False)
    assert known.started_at == rfc3339(BEGIN + 3) and known.sha256 == file_sha256(folder / "clip.mp4")
    answer = api.client.get(f"/v1/corrections/{said['id']}/clip.mp4")
    assert answer.content == (folder / "clip.mp4").read_bytes()
    assert api.client.get("/v1/corrections/summary").json() == {
        "streams": [{"id": stream, "name": "Gate", "train": {"squat": 1}, "audit": {}}]
    }


def test_later_verdict_supersedes_and_needs_no_recording_any_more(api: RunningApi):
    stream = api.add(record=True)["id"]
    video = recorded(api, stream)
    event_of(api, stream)
    first = judge(api, "evt_1", verdict="wrong", label="squat")
    settled(api, first["id"])
    video.unlink()
    api.client.delete(f"/v1/streams/{stream}")
    second = judge(api, "evt_1", verdict="right")
    assert settled(api, second["id"])["clip"] == "stored"
    assert facts(api, first["id"]).superseded_by == second["id"]
    assert facts(api, second["id"]).label == "push up"
    versions = api.client.get("/v1/events/evt_1/verdicts").json()["items"]
    assert [(each["version"], each["verdict"]) for each in versions] == [(2, "right"), (1, "wrong")]
    third = judge(api, "evt_1", verdict="unsure")
    shown = settled(api, third["id"])
    assert (shown["clip"], shown["label"], shown["clip_reason"]) == ("none", None, "nobody knows what it was")
    assert api.client.get("/v1/events/evt_1").json()["verdict"]["verdict"] == "unsure"


def test_clip_of_a_verdict_that_was_superseded_while_it_waited_says_so(run_api: Callable[..., RunningApi]):
    api = run_api()
    stream = api.add(record=True)["id"]
    recorded(api, stream)
    event_of(api, stream)
    api.call(api.context.review.keeper.close())
    first = judge(api, "evt_1", verdict="wrong", label="squat")
    waiting = api.call(api.context.review.verdicts.get(first["id"], ALL))
    second = judge(api, "evt_1", verdict="wrong", label="playing cricket")
    api.stop()
    api = run_api()
    settled(api, second["id"])
    assert facts(api, first["id"]).superseded_by == second["id"]
    unaware = facts(api, first["id"]).model_copy(update={"superseded_by": waiting.superseded_by})
    write_facts(api.settings.corrections_dir / first["id"], unaware)  # as it is where the second came while it was cut
    assert api.call(api.context.review.keeper.keep(waiting))
    assert facts(api, first["id"]).superseded_by == second["id"]
    assert facts(api, second["id"]).sha256 == facts(api, first["id"]).sha256, "one clip for both"


@pytest.mark.parametrize(
    ("overlay", "there", "words"),
    [
        (True, True, "boxes and labels are drawn into the recording"),
        (False, False, "nothing was recorded in that time"),
        (False, True, "the person is not in what was recorded"),
    ],
)
def test_what_cannot_be_cut_says_why(api: RunningApi, overlay: bool, there: bool, words: str):
    stream = api.add(record=False)["id"]
    if there:
        recorded(api, stream, overlay, seen=lambda _: False)
    event_of(api, stream)
    said = judge(api, "evt_1", verdict="wrong", label="squat")
    correction = settled(api, said["id"])
    assert (correction["clip"], correction["clip_reason"]) == ("none", words)
    assert not (api.settings.corrections_dir / said["id"]).exists()
    problem(api.client.get(f"/v1/corrections/{said['id']}/clip.mp4"), 404)


def test_clip_that_waits_is_cut_by_the_next_start_and_halves_are_removed(run_api: Callable[..., RunningApi]):
    api = run_api()
    stream = api.add(record=True)["id"]
    event_of(api, stream)
    api.call(api.context.review.keeper.close())  # as if it had been killed: nothing is cut any more
    said = judge(api, "evt_1", verdict="wrong", label="squat")
    assert api.client.get("/v1/corrections").json()["items"][0]["clip"] == "pending"
    half = api.settings.corrections_dir / f".{said['id']}.part"
    half.mkdir()
    (half / "clip.mp4").write_bytes(b"half")
    recorded(api, stream)
    api.stop()
    again = run_api()
    assert settled(again, said["id"])["clip"] == "stored"
    assert [path.name for path in again.settings.corrections_dir.iterdir()] == [said["id"]]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("free_bytes", lambda _: 1_490_000_000, "the disk has too little room"),
        ("count", lambda _: 20_000, "20000 clips are kept, which is the limit"),
        ("store", full_disk, "it could not be stored: No space left on device"),
    ],
)
def test_clip_that_finds_no_room_waits_says_so_and_is_stored_once_there_is(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch, name: str, value: Any, words: str
):
    stream = api.add(record=True)["id"]
    recorded(api, stream)
    with monkeypatch.context() as patch:
        patch.setattr(CorrectionFolder, name, value)
        said = judge(api, event_of(api, stream), verdict="wrong", label="squat")
        waiting = wait_for(lambda: [each for each in corrections(api) if each["clip_reason"]], 10, "a reason")
        assert [(each["clip"], each["clip_reason"]) for each in waiting] == [("pending", words)]
        ((needed,),) = [api.call(ask()) for ask in api.context.recordings.also_needed[1:]]
        assert needed.stream_id == stream and needed.begin < BEGIN + 3 < BEGIN + 4 < needed.end
    api.loop.call_soon_threadsafe(api.context.review.keeper.ring)
    assert (settled(api, said["id"])["clip"], corrections(api)[0]["clip_reason"]) == ("stored", "")
    assert "actoscope_corrections_missing_total 0.0" in api.client.get("/metrics").text


def test_clip_whose_recording_goes_while_it_waits_for_room_is_told_as_lost(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch
):
    stream = api.add(record=True)["id"]
    video = recorded(api, stream)
    with monkeypatch.context() as patch:
        patch.setattr(CorrectionFolder, "count", lambda _: 20_000)
        said = judge(api, event_of(api, stream), verdict="wrong", label="squat")
        wait_for(lambda: [each for each in corrections(api) if each["clip_reason"]], 10, "a reason")
        video.unlink()
    api.loop.call_soon_threadsafe(api.context.review.keeper.ring)
    lost = settled(api, said["id"])
    assert lost["clip"] == "none"
    assert lost["clip_reason"].endswith("; before that: 20000 clips are kept, which is the limit")
    assert "actoscope_corrections_lost_total 1.0" in api.client.get("/metrics").text


def test_clip_that_cannot_be_written_holds_up_nobody_behind_it(api: RunningApi, monkeypatch: pytest.MonkeyPatch):
    stream = api.add(record=True)["id"]
    recorded(api, stream)
    store = CorrectionFolder.store

    def bad_place(self: CorrectionFolder, record: VerdictRecord, *rest: Any) -> str:
        return full_disk() if record.event_id == "evt_1" else store(self, record, *rest)

    monkeypatch.setattr(CorrectionFolder, "store", bad_place)
    monkeypatch.setattr(keeper_module, "LOOK_S", 0.1)
    for event_id in ("evt_1", "evt_2"):
        said = judge(api, event_of(api, stream, event_id), verdict="wrong", label="squat")
    assert settled(api, said["id"])["clip"] == "stored"
    assert [each["clip"] for each in corrections(api)] == ["stored", "pending"]


def test_clip_that_fails_by_an_error_is_tried_again_when_the_same_is_said_again(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch
):
    stream = api.add(record=True)["id"]
    recorded(api, stream)
    with monkeypatch.context() as patch:
        patch.setattr(CorrectionFolder, "store", lambda *_: 1 / 0)
        said = judge(api, event_of(api, stream), verdict="wrong", label="squat")
        failed = settled(api, said["id"])
        assert (failed["clip"], failed["clip_reason"][:23]) == ("none", "an error of the service")
    again = judge(api, "evt_1", verdict="wrong", label="squat")
    assert (again["id"], again["version"]) == (said["id"], 1)
    assert settled(api, said["id"])["clip"] == "stored"
    assert "actoscope_corrections_missing_total 1.0" in api.client.get("/metrics").text


def test_same_verdict_said_again_asks_for_no_clip_that_cannot_be(api: RunningApi):
    event_of(api, api.add()["id"])
    for _ in range(2):
        said = judge(api, "evt_1", verdict="unsure")
        assert settled(api, said["id"])["clip_reason"] == "nobody knows what it was"


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from service.review.folder import CorrectionFolder
from tests.service.storage.review.test_events import verdict

def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)

folder = CorrectionFolder(Path(sys.argv[1]))
folder.open()
module = sys.modules["service.review.folder"]
if sys.argv[2] == "rename":
    Path.rename = kill
else:
    setattr(module, sys.argv[2], kill)
folder.store(verdict("evt_1", id="ver_1"), np.zeros((64, 32, 32, 3), np.uint8), 25.0)
"""


@pytest.mark.parametrize("step", ["write_clip", "write_facts", "rename"])
def test_killed_at_any_step_leaves_nothing_that_looks_whole(tmp_path: Path, step: str):
    root = tmp_path / "corrections"
    command = [sys.executable, "-c", KILLED, str(root), step]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert all(path.name.startswith(".") for path in root.iterdir())


def test_audit_sample_is_kept_apart(run_api: Callable[..., RunningApi]):
    api = run_api(audit_share=1.0)
    stream = api.add(record=True)["id"]
    recorded(api, stream)
    event_of(api, stream)
    assert api.client.get("/v1/events/evt_1").json()["audit_sample"] is True
    said = judge(api, "evt_1", verdict="right")
    assert settled(api, said["id"])["split"] == "audit"
    assert facts(api, said["id"]).split == "audit"
    assert api.client.get("/v1/corrections?split=train").json()["items"] == []


def test_corrections_outlive_events_recordings_and_streams(api: RunningApi):
    stream = api.add(record=True)["id"]
    recorded(api, stream)
    event_of(api, stream)
    said = judge(api, "evt_1", verdict="wrong", label="squat")
    settled(api, said["id"])
    api.client.delete(f"/v1/streams/{stream}")

    def forget(session: Session) -> None:
        for table in (EventRow, RecordingRow):
            session.execute(delete(table))

    api.call(api.context.database.write(forget))
    assert settled(api, said["id"])["clip"] == "stored"
    assert api.call(api.context.review.verdicts.get(said["id"], ALL)) is not None
