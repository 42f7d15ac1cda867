"""Trainings by the API: ordered, run in a process, paused, cancelled, taken up again. The process is scripted where its
work is not what is shown.
"""

from __future__ import annotations

import asyncio
import textwrap
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from service.errors_base import Forbidden
from service.retraining import desk as desks
from service.retraining import process as processes
from service.rights import Principal, Role, Visible
from service.routes.retraining.bodies import TrainingCreate
from service.routes.retraining.trainings import add_training
from service.settings import Settings
from service.storage.database import StoreError
from service.storage.trainings.store import TrainingRecord, TrainingStore
from service.stream_state import StreamState
from service.supervisor_protocol import StreamStatus
from tests.service.conftest import MODEL, RunningApi, write_model
from tests.service.scripted import SINCE
from tests.support.service import wait_for

GATE = {"passed": False, "checks": [{"name": "audit", "passed": False, "words": "too few"}], "missing": ["9 more"]}
OUTCOME = {"version": f"{MODEL}@2", "gate": GATE, "learnt": 12, "audit": 3, "left_out": {"its clip is gone": 2}}


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """What the process does: Python with ``tell(message)``, ``heard()`` → the next line of stdin."""
    folder = tmp_path / "script"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setattr(processes, "MODULE", "scripted_training")

    def write(body: str) -> None:
        head = """
            import json, os, sys, time
            def tell(message):
                print(json.dumps(message), flush=True)
            def heard():
                return sys.stdin.readline().strip()
            def step(what, share=0.5):
                tell({"progress": {"what": what, "share": share, "left_s": 7.04}})
        """
        (folder / "scripted_training.py").write_text(textwrap.dedent(head) + textwrap.dedent(body))

    return write


@pytest.fixture
def api(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningApi]:
    monkeypatch.setattr(desks, "LOOK_S", 0.02)
    monkeypatch.setattr(desks, "LEFT_S", 0.02)
    (settings.corrections_dir / "ver_1").mkdir(parents=True)
    running = RunningApi(settings).start()
    yield running
    running.stop()


def order(api: RunningApi, **body: Any) -> dict[str, Any]:
    answer = api.client.post("/v1/trainings", json={"base": MODEL, **body})
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"/v1/trainings/{answer.json()['id']}"
    return dict(answer.json())


def training(api: RunningApi, made: dict[str, Any]) -> dict[str, Any]:
    return dict(api.client.get(f"/v1/trainings/{made['id']}").json())


def until(api: RunningApi, made: dict[str, Any], **wanted: Any) -> dict[str, Any]:
    def reached() -> dict[str, Any] | None:
        now = training(api, made)
        return now if all(now[name] == value for name, value in wanted.items()) else None

    return wait_for(reached, 20, f"{wanted}, got {training(api, made)}")


def test_training_tells_how_far_it_is_and_what_the_gate_said(api: RunningApi, script: Callable[[str], None]) -> None:
    script(f"""
        step("learning {MODEL}: epoch 3 of 30", 0.25)
        heard_nothing = sys.stdin
        while not os.path.exists(sys.argv[1] + ".go"):
            time.sleep(0.01)
        step("judging {MODEL}", 0.9)
        while not os.path.exists(sys.argv[1] + ".on"):
            time.sleep(0.01)
        print("no line of ours")
        tell({{"outcome": {OUTCOME!r}}})
    """)
    made = order(api, force_count=True)
    assert (made["state"], made["config"], made["by"], made["force_count"]) == ("queued", "quick", "local", True)
    learning = until(api, made, state="running", progress=0.25)
    assert (learning["step"], learning["eta_s"]) == (f"learning {MODEL}: epoch 3 of 30", 7.0)
    file = api.settings.trainings_dir / made["id"] / "order.json"
    file.with_name("order.json.go").touch()
    until(api, made, state="gate")
    file.with_name("order.json.on").touch()
    done = until(api, made, state="done")
    assert (done["version"], done["gate"], done["progress"], done["eta_s"]) == (f"{MODEL}@2", GATE, 1.0, None)
    assert done["reason"] == ("learnt from 12 corrections, judged on 3 audit labels; 2 left out: its clip is gone")
    wait_for(lambda: audit(api)[0]["action"] == "trainings:end", 20, "its end is audited, once its folder is gone")
    assert not file.parent.exists()
    assert api.client.get("/v1/trainings").json()["items"] == [done]
    rows = audit(api)
    assert [(row["action"], row["object"], row["result"]) for row in rows[:2]] == [
        ("trainings:end", made["id"], "ok"),
        ("trainings:write", made["id"], "ok"),
    ]
    assert rows[0]["detail"]["gate"] == "refused"


def test_training_gets_labels_that_rules_and_streams_name(api: RunningApi, script: Callable[[str], None]) -> None:
    script("tell({'failed': open(sys.argv[1]).read()})")
    stream = api.add(name="Yard", actions={"squat": 0.5}, model=MODEL)
    rule = {"name": "Night", "actions": {"push up": 0.5}, "streams": [stream["id"]]}
    assert api.client.post("/v1/rules", json=rule).status_code == 201
    failed = until(api, order(api), state="failed")
    assert '"used": {"squat": ["Yard"], "push up": ["Night"]}' in failed["reason"]
    assert f'"parent": "{MODEL}"' in failed["reason"]


def test_trainings_run_one_after_the_other_and_waiting_ones_are_few(
    api: RunningApi, script: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desks, "MOST_OPEN", 2)
    script("step('reading'); heard()")
    first = order(api)
    until(api, first, state="running", progress=0.5)
    second = order(api)
    assert second["state"] == "queued"
    refused = api.client.post("/v1/trainings", json={"base": MODEL})
    assert refused.status_code == 409
    assert "2 trainings that wait or run" in refused.json()["detail"]
    assert api.client.delete(f"/v1/trainings/{second['id']}").status_code == 204
    assert training(api, second)["state"] == "cancelled"
    assert api.client.delete(f"/v1/trainings/{first['id']}").status_code == 204
    until(api, first, state="cancelled", reason="cancelled")
    assert api.client.delete(f"/v1/trainings/{first['id']}").status_code == 409


def test_training_waits_while_labels_come_late(
    api: RunningApi, script: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    script("""
        step("learning", 0.3)
        assert heard() == "pause"
        step("learning", 0.4)
        assert heard() == "go"
        step("learning", 0.5)
        heard()
    """)
    stream = api.add()["id"]
    fresh = StreamStatus(StreamState.RUNNING, None, "", SINCE, label_age_ms=200)
    api.supervisor.statuses[stream] = fresh
    desk = api.context.trainings
    api.call(_look_again(desk))
    with monkeypatch.context() as patch:  # an error of ours does not end that labels are looked at
        asked: list[str] = []

        def fails(stream_id: str) -> StreamStatus:
            asked.append(stream_id)
            raise KeyError(stream_id)

        patch.setattr(api.supervisor, "status", fails)
        wait_for(lambda: len(asked) > 1, 10, "it is looked at again")
    made = order(api)
    until(api, made, state="running", progress=0.3)
    api.supervisor.statuses[stream] = replace(fresh, label_age_ms=3000)
    paused = until(api, made, state="paused", progress=0.4)
    assert paused["paused_reason"] == "cameras come first: labels are 3.0 s old, at most 1.0 s is allowed"
    api.supervisor.statuses[stream] = fresh
    api.call(_forget(desk))
    going = until(api, made, state="running", progress=0.5)
    assert going["paused_reason"] is None


async def _look_again(desk: Any) -> None:
    """The stream is new: the desk has to ask which there are."""
    desk._asked_s = -desks.STREAMS_S


async def _forget(desk: Any) -> None:
    """The half minute passes."""
    desk._ages._ages.clear()


def test_training_that_dies_says_so_and_keeps_its_log(api: RunningApi, script: Callable[[str], None]) -> None:
    script("print('the disk is on fire', file=sys.stderr); sys.stderr.flush(); os.kill(os.getpid(), 9)")
    failed = until(api, order(api), state="failed")
    log = api.settings.trainings_dir / failed["id"] / "log.txt"
    assert failed["reason"] == f"its process was ended by signal 9; {log} says more"
    assert log.read_text() == "the disk is on fire\n"


def test_training_goes_on_after_a_restart_of_the_service_but_not_for_ever(
    settings: Settings, script: Callable[[str], None]
) -> None:
    script("step('learning'); heard()")
    (settings.corrections_dir / "ver_1").mkdir(parents=True)
    api = RunningApi(settings).start()
    made = order(api)
    until(api, made, state="running", progress=0.5)
    (child,) = [each for each in psutil.Process().children() if "scripted_training" in " ".join(each.cmdline())]
    api.stop()
    assert not child.is_running()
    (settings.trainings_dir / made["id"] / "kept").touch()
    script(f"assert os.path.exists(os.path.dirname(sys.argv[1]) + '/kept'); tell({{'outcome': {OUTCOME!r}}})")
    api = RunningApi(settings).start()
    until(api, made, state="done")
    gone = TrainingRecord("trn_000000000000000f", MODEL, "quick", "anna", time.time(), state="gate", attempts=3)
    api.call(TrainingStore(api.context.database).add(gone, 9))
    api.stop()
    api = RunningApi(settings).start()
    failed = api.client.get(f"/v1/trainings/{gone.id}").json()
    assert (failed["state"], failed["reason"]) == (
        *("failed",),
        "it was interrupted 3 times: the service ended, or its database failed",
    )
    api.stop()


class Keeping:
    """Rows as the desk stores them: ``states`` were asked for; ``before`` runs first, and may raise."""

    def __init__(self, api: RunningApi, before: Callable[[TrainingRecord], Awaitable[None]]) -> None:
        self.states: list[str] = []
        self._before = before
        self._store: TrainingStore = api.context.trainings._trainings
        self._keep = self._store.keep
        self._store.keep = self  # type: ignore[method-assign]

    async def __call__(self, record: TrainingRecord) -> None:
        self.states.append(record.state)
        await self._before(record)
        await self._keep(record)


def failing_once(state: str, error: Exception) -> Callable[[TrainingRecord], Awaitable[None]]:
    errors = [error]

    async def before(record: TrainingRecord) -> None:
        if record.state == state and errors:
            raise errors.pop()

    return before


@pytest.mark.parametrize(
    ("state", "error", "kept"),
    [
        ("running", StoreError("database: it is gone"), ["running", "running", "done"]),
        ("running", RuntimeError("an error of ours"), ["running", "running", "done"]),
        ("done", StoreError("database: it is gone"), ["running", "done", "queued", "running", "done"]),
    ],
)
def test_training_goes_on_after_an_error_of_the_store(
    api: RunningApi, script: Callable[[str], None], state: str, error: Exception, kept: list[str]
) -> None:
    keeping = Keeping(api, failing_once(state, error))
    script(f"tell({{'outcome': {OUTCOME!r}}})")
    until(api, order(api), state="done", version=f"{MODEL}@2")
    assert keeping.states == kept


def test_training_is_cancelled_though_the_store_did_not_take_it_at_first(
    api: RunningApi, script: Callable[[str], None]
) -> None:
    keeping = Keeping(api, failing_once("cancelled", StoreError("database: it is gone")))
    script("step('reading'); heard()")
    made = order(api)
    until(api, made, state="running", progress=0.5)
    assert api.client.delete(f"/v1/trainings/{made['id']}").status_code == 204
    until(api, made, state="cancelled", reason="cancelled")
    assert keeping.states == ["running", "cancelled", "cancelled"]


def test_training_that_is_cancelled_while_it_is_chosen_does_not_run(
    api: RunningApi, script: Callable[[str], None]
) -> None:
    async def slowly(record: TrainingRecord) -> None:
        await asyncio.sleep(0.2 if record.state == "cancelled" else 0)

    keeping, desk = Keeping(api, slowly), api.context.trainings
    choose = desk._trainings.open_ones
    asked: list[asyncio.Task[None]] = []

    async def chosen() -> tuple[TrainingRecord, ...]:
        found = await choose()
        if found and not asked:
            asked.append(asyncio.create_task(desk.cancel(found[0].id)))
            await asyncio.sleep(0.1)
        return found

    desk._trainings.open_ones = chosen  # type: ignore[method-assign]
    script(f"tell({{'outcome': {OUTCOME!r}}})")
    until(api, order(api), state="cancelled", reason="cancelled before it began")
    assert keeping.states == ["cancelled"]


def test_training_is_done_though_its_files_cannot_be_tidied_away(
    api: RunningApi, script: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path) -> int:
        raise PermissionError(f"{folder} is somebody else's")

    monkeypatch.setattr(desks, "keep_within", refuse)
    script(f"tell({{'outcome': {OUTCOME!r}}})")
    for _ in range(2):
        until(api, order(api), state="done")
    wait_for(lambda: [row["action"] for row in audit(api)].count("trainings:end") == 2, 5, "both ends are audited")
    assert {row["result"] for row in audit(api)} == {"ok"}


def audit(api: RunningApi) -> list[dict[str, Any]]:
    return list(api.client.get("/v1/audit").json()["items"])


def test_training_learns_from_every_camera_and_is_started_by_those_who_see_all() -> None:
    limited = Principal("user", "usr_1", "anna", role=Role.ADMIN, visible=Visible({"str_0000000000000001": None}))
    nothing: Any = None  # it is refused before anything is looked at
    with pytest.raises(Forbidden, match="sees all streams"):
        asyncio.run(add_training(TrainingCreate(base=MODEL), nothing, limited, nothing, nothing))


def test_training_starts_from_an_alias_and_not_from_one_of_its_versions(api: RunningApi) -> None:
    write_model(api.settings.weights_dir / f"{MODEL}@2")
    for version in (f"{MODEL}@2", f"{MODEL}@1"):
        refused = api.client.post("/v1/trainings", json={"base": version})
        assert refused.status_code == 422 and "a network of /v1/models" in refused.text


def test_training_is_refused_without_corrections_packages_or_a_network(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert api.client.post("/v1/trainings", json={"base": "other"}).status_code == 422
    assert api.client.post("/v1/trainings", json={"base": MODEL, "config": "huge"}).status_code == 422
    assert api.client.post("/v1/trainings", json={"base": MODEL, "more": 1}).status_code == 422
    monkeypatch.setattr(desks, "PACKAGES", ("no_such_package",))
    answer = api.client.post("/v1/trainings", json={"base": MODEL})
    assert (answer.status_code, answer.json()["detail"]) == (
        *(503,),
        "training needs more packages here: pip install -e '.[train]'",
    )
    monkeypatch.setattr(desks, "PACKAGES", ())
    (api.settings.corrections_dir / "ver_1").rmdir()
    assert api.client.post("/v1/trainings", json={"base": MODEL}).status_code == 409
    assert api.client.get("/v1/trainings/trn_x").status_code == 404
    assert api.client.get("/v1/trainings/trn_0000000000000000").status_code == 404
