"""/v1/models, /healthz, /readyz, /metrics, errors of any path, and the OpenAPI document."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.recording.reconcile import Recordings
from service.storage.database import StoreError
from service.storage.trainings.store import TrainingRecord, TrainingStore
from tests.service.conftest import LABELS, MODEL, RunningApi, write_model
from tests.service.scripted import ScriptedSupervisor
from tests.service.test_routes_streams import problem


def test_models_are_what_the_weights_folder_holds_now(api: RunningApi):
    (only,) = api.client.get("/v1/models").json()["items"]
    assert (only["id"], only["labels"], only["default"], only["licence"]) == (MODEL, list(LABELS), True, "none")
    write_model(api.settings.weights_dir / "fights", ("fighting",))
    (api.settings.weights_dir / "broken").mkdir()
    (api.settings.weights_dir / "broken" / "card.json").write_text("{")
    models = {item["id"]: item for item in api.client.get("/v1/models").json()["items"]}
    assert set(models) == {MODEL, "fights"}
    assert models["fights"]["default"] is False
    assert (models[MODEL]["runtime"], models["fights"]["runtime"]) == ("scripted", None)
    assert api.add(model="fights", actions={"fighting": 0.5})["model"] == "fights"


def test_streams_that_end_with_the_service_are_left_to_the_next_start(
    run_api: Callable[..., RunningApi], monkeypatch: pytest.MonkeyPatch
):
    """With a hundred cameras as many repairs would begin, and the service is to be gone within seconds."""
    stopped = {"type": "stream", "state": "stopped", "code": None, "reason": "stopped"}
    repaired: list[str] = []
    closed: list[str] = []

    async def note(_: Recordings, stream_id: str) -> None:
        repaired.append(stream_id)

    async def close(supervisor: ScriptedSupervisor) -> None:
        await supervisor.hub.publish_stream({**stopped, "stream_id": "str_2"})
        closed.append("str_2")

    monkeypatch.setattr(Recordings, "_repair", note)
    monkeypatch.setattr(ScriptedSupervisor, "close", close)
    api = run_api()
    api.call(api.context.hub.publish_stream({**stopped, "stream_id": "str_1"}))
    api.stop()
    assert closed == ["str_2"]
    assert repaired == ["str_1"]


def test_healthy_before_ready_and_ready_once_models_are_loaded(api: RunningApi):
    api.supervisor.is_ready = False
    assert api.client.get("/healthz").json()["status"] == "ok"
    assert "loading" in problem(api.client.get("/readyz"), 503)["detail"]
    api.supervisor.is_ready = True
    assert api.client.get("/readyz").json() == {"status": "ready", "inference": api.supervisor.inference_status()}


def test_metrics_are_prometheus_text(api: RunningApi):
    answer = api.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "actoscope_up 1.0" in answer.text


def test_database_that_fails_is_unavailable_and_tells_no_details(api: RunningApi, monkeypatch: pytest.MonkeyPatch):
    async def fail(*_: Any) -> None:
        raise StoreError("database: disk I/O error at /secret/place")

    monkeypatch.setattr(api.context.store, "list_streams", fail)
    monkeypatch.setattr(api.context.store, "ping", fail)
    for path in ("/v1/streams", "/readyz"):
        answer = api.client.get(path)
        problem(answer, 503)
        assert "secret" not in answer.text
        assert answer.headers["retry-after"] == "2"


def test_error_of_ours_is_a_problem_that_tells_no_details(api: RunningApi, monkeypatch: pytest.MonkeyPatch):
    def fail() -> bytes:
        raise RuntimeError("rtsp://viewer:c4n4ry@camera/")

    monkeypatch.setattr(api.supervisor, "metrics_text", fail)
    answer = api.client.get("/metrics")
    problem(answer, 500)
    assert "c4n4ry" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/v1", 404),
        ("GET", "/v1/streams/", 404),
        ("GET", "/web/../app.py", 404),
        ("GET", "/docs", 404),
        ("PUT", "/v1/streams", 405),
        ("POST", "/", 405),
        ("DELETE", "/v1/recordings", 405),
        ("PATCH", "/healthz", 405),
    ],
)
def test_unknown_path_or_method_is_a_problem(shared_api: RunningApi, method: str, path: str, status: int):
    answer = shared_api.client.request(method, path)
    problem(answer, status)
    if status == 405:
        assert answer.headers["allow"]


_TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
)
_FIELDS = st.sampled_from(["url", "name", "model", "actions", "record", "transport", "pace", "loop", "limit", "x"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.dictionaries(_FIELDS, _JSON, max_size=4) | _JSON, raw=st.binary(max_size=30) | st.none())
def test_malformed_body_never_is_an_error_of_ours(api: RunningApi, body: Any, raw: bytes | None):
    content = json.dumps(body).encode() if raw is None else raw
    answer = api.client.post("/v1/streams", content=content, headers={"content-type": "application/json"})
    problem(answer, answer.status_code)
    assert answer.status_code in (400, 422)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(["/v1/streams", "/v1/events", "/v1/recordings"]),
    query=st.dictionaries(
        st.sampled_from(["stream", "action", "track", "since", "until", "min_confidence", "cursor", "limit"]),
        _TEXT | st.integers() | st.floats() | st.datetimes(),
        max_size=4,
    ),
)
def test_malformed_query_never_is_an_error_of_ours(api: RunningApi, path: str, query: dict[str, Any]):
    answer = api.client.get(path, params={name: str(value) for name, value in query.items()})
    if answer.status_code != 200:
        problem(answer, 422)


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_openapi_has_every_route_of_the_contract(api: RunningApi):
    found = {name for name, _ in operations(api.client.get("/openapi.json").json())}
    assert found == {
        "post /v1/streams",
        "get /v1/streams",
        "get /v1/streams/{stream_id}",
        "patch /v1/streams/{stream_id}",
        "delete /v1/streams/{stream_id}",
        "post /v1/streams/{stream_id}/restart",
        "get /v1/streams/{stream_id}/snapshot.jpg",
        "get /v1/streams/{stream_id}/live.mjpeg",
        "get /v1/events",
        "get /v1/events/{event_id}",
        "put /v1/events/{event_id}/verdict",
        "get /v1/events/{event_id}/verdicts",
        "put /v1/events/{event_id}/reviewed",
        "post /v1/events/reviewed",
        "get /v1/timeline",
        "get /v1/search",
        "get /v1/corrections",
        "get /v1/corrections/summary",
        "get /v1/corrections/{correction_id}/clip.mp4",
        "get /v1/recordings",
        "get /v1/recordings/{recording_id}",
        "delete /v1/recordings/{recording_id}",
        "get /v1/recordings/{recording_id}/video.mp4",
        "get /v1/recordings/{recording_id}/events.jsonl",
        "get /v1/media/{incident_id}/snapshot.jpg",
        "get /v1/media/{incident_id}/clip.mp4",
        "post /v1/media-keys/rotate",
        "post /v1/sinks",
        "get /v1/sinks",
        "get /v1/sinks/{sink_id}",
        "patch /v1/sinks/{sink_id}",
        "delete /v1/sinks/{sink_id}",
        "post /v1/sinks/{sink_id}/test",
        "post /v1/sinks/{sink_id}/rotate-secret",
        "get /v1/deliveries",
        "post /v1/deliveries/{delivery_id}/retry",
        "get /v1/streams/{stream_id}/zones",
        "put /v1/streams/{stream_id}/zones",
        "post /v1/rules",
        "get /v1/rules",
        "get /v1/rules/{rule_id}",
        "patch /v1/rules/{rule_id}",
        "delete /v1/rules/{rule_id}",
        "post /v1/rules/{rule_id}/snooze",
        "delete /v1/rules/{rule_id}/snooze",
        "post /v1/rules/{rule_id}/dry-run",
        "post /v1/rules/dry-run",
        "get /v1/incidents",
        "get /v1/incidents/{incident_id}",
        "patch /v1/incidents/{incident_id}",
        "get /v1/incidents/{incident_id}/snapshot.jpg",
        "get /v1/incidents/{incident_id}/clip.mp4",
        "post /v1/exports",
        "get /v1/exports",
        "get /v1/exports/{export_id}",
        "delete /v1/exports/{export_id}",
        "get /v1/exports/{export_id}/case.zip",
        "get /v1/models",
        "get /v1/models/{alias}/versions",
        "get /v1/models/{alias}/shadow",
        "post /v1/models/{alias}/shadow",
        "post /v1/models/{alias}/promote",
        "post /v1/models/{alias}/rollback",
        "get /v1/live",
        "get /v1/system",
        "get /v1/nodes",
        "post /v1/nodes/{node_id}/drain",
        "post /v1/nodes/{node_id}/undrain",
        "delete /v1/nodes/{node_id}",
        "get /v1/streams/{stream_id}/placement",
        "put /v1/streams/{stream_id}/placement",
        "get /v1/trainings",
        "post /v1/trainings",
        "get /v1/trainings/{training_id}",
        "delete /v1/trainings/{training_id}",
        "post /v1/login",
        "post /v1/logout",
        "get /v1/me",
        "patch /v1/me",
        "get /v1/users",
        "post /v1/users",
        "get /v1/users/{user_id}",
        "patch /v1/users/{user_id}",
        "delete /v1/users/{user_id}",
        "get /v1/tokens",
        "get /v1/audit",
        "post /v1/tokens",
        "delete /v1/tokens/{token_id}",
        "get /healthz",
        "get /readyz",
        "get /metrics",
    }


NAMED_ELSEWHERE = {"post /v1/exports", "get /v1/live"}  # what may not be there stands in body or query


def test_openapi_documents_examples_and_error_bodies(api: RunningApi):
    document = api.client.get("/openapi.json").json()
    for name, operation in operations(document):
        assert operation.get("description") or operation["summary"], name
        errors = {status: answer for status, answer in operation["responses"].items() if status >= "4"}
        assert "500" in errors, name
        assert ("404" in errors) == ("{" in name or name in NAMED_ELSEWHERE), name
        takes_input = "requestBody" in operation or any(p["in"] == "query" for p in operation.get("parameters", []))
        assert ("422" in errors) == takes_input, name
        for status, answer in errors.items():
            content = answer["content"]["application/problem+json"]
            assert content["schema"] == {"$ref": "#/components/schemas/ProblemBody"}, (name, status)
            assert content["example"]["status"] == int(status)
    assert document["components"]["schemas"]["StreamCreate"]["examples"]
    assert "HTTPValidationError" not in json.dumps(document)


QUERIES = {"/v1/timeline": "?since=2026-05-04T00:00:00Z&until=2026-05-05T00:00:00Z", "/v1/search": "?q=squat"}
STREAM = "/v1/streams/str_0123456789abcdef"
RECORDING = "/v1/recordings/rec_0123456789abcdef"


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/", "GET, HEAD"),
        ("/healthz", "GET, HEAD"),
        ("/v1/streams", "GET, HEAD, POST"),
        (STREAM, "DELETE, GET, HEAD, PATCH"),
        (f"{STREAM}/restart", "POST"),
        (f"{STREAM}/live.mjpeg", "GET, HEAD"),
        (RECORDING, "DELETE, GET, HEAD"),
        (f"{RECORDING}/video.mp4", "GET, HEAD"),
        ("/openapi.json", "GET, HEAD"),
        ("/web/page.js", "GET, HEAD"),
    ],
)
def test_allow_lists_the_methods_of_every_route_of_a_path(shared_api: RunningApi, path: str, methods: str):
    for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"} - set(methods.split(", ")):
        answer = shared_api.client.request(method, path)
        assert (answer.status_code, set(answer.headers["allow"].split(", "))) == (405, set(methods.split(", ")))


COUNTING = ("/metrics", "/v1/system", "/v1/live")  # their answers grow by a digit between two questions


def test_head_is_answered_wherever_get_is(api: RunningApi):
    from tests.service.test_routes_exports import add_export
    from tests.service.test_routes_media import INCIDENT, add_incident
    from tests.service.test_routes_recordings import add_recording
    from tests.service.test_routes_review import add_correction, tell

    stream, recording = f"/v1/streams/{api.add()['id']}", add_recording(api)
    user = api.add_user("anna", "admin")
    api.log_in("anna")
    webhook = {"kind": "webhook", "name": "x", "config": {"url": "http://h.example/"}}
    sink = api.client.post("/v1/sinks", json=webhook).json()
    rule = api.client.post("/v1/rules", json={"name": "x", "actions": {"squat": 0.5}}).json()
    add_incident(api, INCIDENT)
    tell(api, "evt_1", stream[12:])
    export = add_export(api, stream[12:])
    training = TrainingRecord("trn_0123456789abcdef", "surveillance", "quick", "anna", 1000.0, state="done")
    api.call(TrainingStore(api.context.database).add(training, 9))
    document = api.client.get("/openapi.json").json()["paths"]
    paths = [path for path, operations in document.items() if "get" in operations]
    assert "head" not in {method for operations in document.values() for method in operations}
    paths += ["/", "/web/page.js", "/web/page.css", "/web/icon.svg", "/favicon.ico", "/openapi.json"]
    for template in paths:
        path = template.replace("{stream_id}", stream[12:]).replace("{recording_id}", recording["id"])
        path = path.replace("{user_id}", user["id"]).replace("{alias}", MODEL)
        path = path.replace("{sink_id}", sink["id"])
        path = path.replace("{rule_id}", rule["id"]).replace("{incident_id}", INCIDENT)
        path = path.replace("{event_id}", "evt_1").replace("{correction_id}", add_correction(api))
        path = path.replace("{export_id}", export).replace("{training_id}", training.id)
        path += QUERIES.get(path, "")
        answer = api.client.head(path)
        assert (answer.status_code, answer.content) == (200, b""), path
        if not path.endswith("live.mjpeg"):
            whole = api.client.get(path)
            for name in ("content-type", "etag", *(() if path in COUNTING else ("content-length",))):
                assert answer.headers.get(name) == whole.headers.get(name), (path, name)
        else:
            assert answer.headers["content-type"].startswith("multipart/x-mixed-replace")
    api.supervisor.is_ready = False
    assert api.client.head("/readyz").status_code == 503
    assert api.client.head(f"/v1/streams/{stream[12:]}x").status_code == 404


def test_websocket_that_was_not_upgraded_says_what_a_proxy_has_to_do(api: RunningApi):
    answer = api.client.get("/v1/ws")
    assert "Upgrade" in problem(answer, 426)["detail"]
    assert answer.headers["upgrade"] == "websocket"


def test_openapi_refers_only_to_what_it_holds(api: RunningApi):
    document = api.client.get("/openapi.json").json()

    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [found for value in node.values() for found in references(value)]
        return [found for item in node for found in references(item)] if isinstance(node, list) else []

    for reference in references(document):
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
