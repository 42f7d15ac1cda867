"""Messages there and back, and what is refused by name."""

import math
import socket
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.actions import Evidence, SmootherConfig
from pipeline.clips import ClipConfig
from pipeline.entities import Zone
from service.budget.costs import Cost
from service.budget.plan import BudgetView, Plan, StreamLoad, Tier
from service.configuration import EngineConfig, StagesConfig
from service.processes import messages
from service.processes.inference_messages import (
    ClipAnswer,
    DetectAnswer,
    DetectRequest,
    LoadReport,
    ScoresAnswer,
    ShadowAnswer,
)
from service.processes.ipc import Channel, Packet
from service.processes.messages import (
    InferenceSetup,
    InferenceStats,
    LiveReport,
    MessageChannel,
    PresenceReport,
    RecordingSetup,
    SegmentReport,
    SetZones,
    SourceSetup,
    StateReport,
    StatsReport,
    StreamSetup,
    UnexpectedMessage,
    WatchLive,
    pack,
    unpack,
)
from service.processes.version_messages import LoadNetworks, ShadowNetworks, ShadowReport, UseModel
from service.storage.segment import Segment
from service.stream_state import StreamState
from service.versions.tally import ShadowTally

SOURCE = SourceSetup("rtsp://u:p@h/", "tcp", "fast", True, (Path("/media"),), ("h.example",), 9_437_184)
STAGES = StagesConfig(
    ClipConfig(length=32, scene_hw=(112, 200), provisional_from=8),
    0.4,
    SmootherConfig(thresholds={"Fighting": 0.6}, evidence={"Fighting": Evidence(0.8, 0.5, 2)}),
    adaptive=True,
    first_track_id=9,
)
GATE = Zone("gate", ((0.0, 0.5), (1.0, 0.5), (1.0, 1.0)))
SETUP = StreamSetup(
    log_level="info",
    log_format="json",
    memory_limit_bytes=1 << 32,
    stream_id="str_1",
    model="surveillance",
    source=SOURCE,
    stages=STAGES,
    inference="unix:///run/i.sock",
    tracks_hz=10.0,
    recording=RecordingSetup(Path("/rec/str_1"), 60.0, 500 << 20),
    zones=(GATE,),
)
ENGINE = EngineConfig(Path("/w"), Path("/c"), detector=Path("/d.pt"), threads=2, measure=True)
PLAN = Plan(Tier.LIGHT, 0.64, 1.28, 640, 12.5, "1 cameras")
VIEW = BudgetView(2, 18, PLAN, 2.0, None, 1.9, 1.3, 1, 2.5, {"feature": Cost(0.01, 0.02)})
PLAIN: list[Any] = [
    SETUP,
    InferenceSetup(log_level="debug", log_format="text", engine=ENGINE, address="unix:///run/i.sock"),
    InferenceStats({"gauges": {"a": 1.0}}, {"detector": "on CPU"}, VIEW),
    WatchLive(3.0, full=True),
    SetZones((GATE, Zone("yard", GATE.polygon[::-1]))),
    PresenceReport({"type": "presence", "people": 2, "zones": {"gate": {"people": 1, "tracks": [7]}}}),
    StateReport(StreamState.FAILED, "unauthorized", "the camera refuses"),
    StatsReport(StreamState.RUNNING, 4, 25.0, size_hw=(360, 640), measures={"counters": {"a:b": 1.0}}),
    UseModel(STAGES, STAGES),
    LoadNetworks(3, ("gym", "gym-light"), ("gym@2", "gym-light@2")),
    ShadowNetworks({"gym": "gym@2"}),
    ShadowReport(ShadowTally("gym@2", 10.0, 3, 2, {"squat": (0,) * 9 + (1,)}, {}, {}, ("evt_1",))),
    SegmentReport(Segment(Path("/rec/a.mp4"), None, 1.5, 0.5, 60.0, 1500, 4096, (360, 640))),
]


@pytest.mark.parametrize("content", PLAIN, ids=lambda content: type(content).__name__)
def test_message_comes_back_as_it_was(content: Any):
    left, right = socket.socketpair()
    sender, receiver = MessageChannel(Channel(left)), MessageChannel(Channel(right))
    sender.send(content)
    assert receiver.receive() == content
    sender.close()
    receiver.close()


ARRAYS: list[Any] = [
    DetectRequest(7, np.arange(24, dtype=np.uint8).reshape(2, 4, 3), np.zeros((0, 4), np.float32)),
    DetectAnswer(7, np.ones((1, 4), np.float32), np.ones(1, np.float32), None),
    ClipAnswer(3, "m", 16, 24, np.zeros((4, 2, 2, 3), np.uint8), np.array([0, 0, 1, 1], np.float32)),
    ClipAnswer(3, "m", 16, 24, None, np.array([0, 0, 1, 1], np.float32)),
    ScoresAnswer(3, np.array([0.25, 0.75], np.float32), 9),
    ShadowAnswer(9, "gym@2", ("squat", "lunge"), np.array([0.25, 0.75], np.float32)),
    LiveReport(np.arange(9, dtype=np.uint8), {"type": "tracks", "tracks": [{"track_id": 7}]}),
]


@pytest.mark.parametrize("content", ARRAYS, ids=lambda content: type(content).__name__)
def test_arrays_come_back_with_their_shapes_and_types(content: Any):
    again = unpack(pack(content))
    for each in fields(content):
        before, after = getattr(content, each.name), getattr(again, each.name)
        if isinstance(before, np.ndarray):
            assert after.dtype == before.dtype
            np.testing.assert_array_equal(after, before)
        else:
            assert after == before


def test_unknown_kind_is_refused_by_name():
    with pytest.raises(UnexpectedMessage, match="unknown kind of message 'gossip'"):
        unpack(Packet("gossip", {}))


@pytest.mark.parametrize(
    ("fields_", "words"),
    [
        ({"state": "dancing", "code": None, "reason": ""}, "'state'.*dancing"),
        ({"state": "running", "code": None}, "reason"),
        ({"state": "running", "code": 3, "reason": ""}, r"int.*\$\.code"),
    ],
)
def test_field_that_is_wrong_is_named(fields_: dict[str, Any], words: str):
    with pytest.raises(UnexpectedMessage, match=words):
        unpack(Packet("state", fields_))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stride", 0),
        ("stride", -3),
        ("frames_per_s", -1.0),
        ("frames_per_s", math.inf),
        ("people", math.nan),
        ("settled", -math.inf),
    ],
)
def test_load_that_cannot_be_is_no_message(name: str, value: float):
    packet = pack(LoadReport(StreamLoad(25.0, 3.0)))
    assert unpack(packet) == LoadReport(StreamLoad(25.0, 3.0))
    with pytest.raises(UnexpectedMessage, match=rf"message 'load': {name}: expected .*, got {value}"):
        unpack(Packet("load", {"load": {**packet.fields["load"], name: value}}))


def test_array_that_did_not_come_is_refused():
    packet = pack(ScoresAnswer(3, np.ones(2, np.float32)))
    with pytest.raises(UnexpectedMessage, match="scores"):
        unpack(Packet(packet.kind, packet.fields, {}))


def test_what_is_no_message_is_not_sent():
    with pytest.raises(UnexpectedMessage, match="expected a message, got dict"):
        pack({"kind": "state"})


def test_kind_can_be_taken_once_only():
    with pytest.raises(ValueError, match="'state' is taken by StateReport"):
        messages.message("state")(StatsReport)


def test_every_message_is_a_frozen_dataclass():
    for cls in messages._CLASSES.values():
        assert is_dataclass(cls) and getattr(cls, "__dataclass_params__").frozen, cls  # noqa: B009
