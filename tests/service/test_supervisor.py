"""ProcessSupervisor's dealings with reports; the processes themselves are in the end-to-end tests."""

import asyncio
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from pydantic import SecretStr

from models.weights.cards import ModelCard, ModelInput
from pipeline.clips import ClipConfig
from pipeline.scene_clips import SceneClipBuffer, clip_buffer
from service.hub import Hub
from service.processes.messages import SegmentReport, pack, unpack
from service.processes.setups import stages_config, stream_setup
from service.processes.stream_process import source_options
from service.settings import Settings
from service.storage.records import StreamRecord
from service.storage.segment import Segment
from service.storage.store import Store, StoreError
from service.stream_state import StreamState
from service.supervisor import ProcessSupervisor, stream_snapshot


class FailingStore:
    """A database on a full disk until ``full`` is False."""

    def __init__(self):
        self.full = True
        self.kept = []

    async def add_recording(self, segment):
        if self.full:
            raise StoreError("database or disk is full")
        self.kept.append(segment.path.name)


def report_of(name):
    segment = Segment(Path(f"/rec/str_1/{name}"), None, 0.0, 0.0, 1.0, 25, 1000, (360, 640))
    return SegmentReport(segment)


def test_segment_that_cannot_be_indexed_raises_nothing_and_is_indexed_with_the_next(settings):
    store = FailingStore()

    async def scenario():
        supervisor = ProcessSupervisor(settings, cast("Hub", None), cast("Store", store))  # the hub is not asked
        await supervisor._on_report("str_1", report_of("a.mp4"))
        store.full = False
        await supervisor._on_report("str_1", report_of("b.mp4"))
        await supervisor.close()

    asyncio.run(scenario())
    assert store.kept == ["a.mp4", "b.mp4"]


def test_clips_of_a_stream_are_those_its_model_was_trained_on(tmp_path):
    folder = tmp_path / "gym"
    folder.mkdir()
    (folder / "labels.txt").write_text("a\nb\n")
    shape = ModelInput(frames=32, height=112, width=112, margin=0.6)
    sums = {"model.keras": "0" * 64, "labels.txt": "0" * 64}
    card = ModelCard(
        name="gym", kind="i3d", num_classes=2, input=shape, provenance="a test", licence="none", sha256=sums
    )
    (folder / "card.json").write_text(card.model_dump_json())
    settings = Settings(weights_dir=tmp_path, clip_hop=8, first_clip=12)
    usual = ClipConfig(hop=8, provisional_from=12)
    assert stages_config(settings, "gym").clip == replace(usual, length=32, size=112, margin=0.6)
    assert stages_config(settings, "missing").clip == usual
    assert stages_config(settings, "missing").model == "missing", "its clips are for it when it comes back"
    scene = card.model_copy(update={"input": ModelInput(kind="scene", frames=32, height=112, width=200)})
    (folder / "card.json").write_text(scene.model_dump_json())
    record = StreamRecord("str_1", "gym", SecretStr("rtsp://h/"), "gym")
    asked = unpack(pack(stream_setup(settings, record, "unix:///i")))  # as it goes to the stream's process
    assert isinstance(clip_buffer(asked.stages.clip), SceneClipBuffer)


def test_what_a_stream_says_of_certificates_reaches_its_source(settings):
    stream = StreamRecord("str_1", "Gate", SecretStr("rtsps://127.0.0.1/cam"), "i3d", tls_verify=False)
    given = settings.model_copy(update={"camera_ca": Path("/ca.pem")})
    options = source_options(unpack(pack(stream_setup(given, stream, "local"))).source)
    assert (options.tls_verify, options.ca_file) == (False, Path("/ca.pem"))
    options = source_options(stream_setup(settings, replace(stream, tls_verify=True), "local").source)
    assert (options.tls_verify, options.ca_file) == (True, None)


def test_metric_up_is_there_for_streams_that_are_to_run_alone():
    """A file that came to its end, or a stream that was switched off, is no alarm."""
    runner = SimpleNamespace(view=SimpleNamespace(stats=None, state=None), restarts=0)
    told: dict[StreamState, Any] = {}
    for state in StreamState:
        runner.view.state = state
        told[state] = stream_snapshot(cast("Any", runner))["gauges"].get("up")
    assert told.pop(StreamState.RUNNING) == 1 and told.pop(StreamState.STOPPED) is None
    assert set(told.values()) == {0}
