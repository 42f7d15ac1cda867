"""What `annotate` says where nobody has a label: the last reason that there was, nothing where anybody had one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.entities import Frame, FrameResult, TrackLabel
from pipeline.sources.url import SourcePolicy, SourceUrl
from service.configuration import EngineConfig, StagesConfig
from service.offline.annotate import AnnotateJob, FileSink, own_rate_hz


@pytest.fixture
def sink(tmp_path: Path) -> FileSink:
    (tmp_path / "v.mp4").touch()
    source = SourceUrl.from_path(tmp_path / "v.mp4")
    engine = EngineConfig(weights_dir=tmp_path, cache_dir=tmp_path)
    return FileSink(AnnotateJob(source, None, None, engine, StagesConfig()), 64)


def show(sink: FileSink, reason: str | None, *, labelled: bool = False) -> None:
    labels = {1: TrackLabel("Walking", 0.9, {"Walking": 0.9}, 1.0, False)} if labelled else {}
    sink.why_none = lambda: reason
    sink.publish(FrameResult(Frame(np.zeros((8, 8, 3), np.uint8), 0, 0.0, 0.0, 0.0), (), labels))


def test_last_reason_is_told_also_where_it_had_passed_at_the_end(sink: FileSink) -> None:
    for reason in (None, "machine too slow: 0.8", "machine too slow: 0.9", None):
        show(sink, reason)
    assert sink.no_labels == "machine too slow: 0.9"


@pytest.mark.parametrize("first", [True, False])
def test_no_reason_is_told_where_anybody_had_a_label(sink: FileSink, first: bool) -> None:
    for labelled in (first, not first):
        show(sink, "machine too slow: 0.9", labelled=labelled)
    assert sink.no_labels is None


def test_only_a_live_source_can_be_faster_than_the_machine(tmp_path: Path) -> None:
    assert own_rate_hz(SourceUrl.parse("rtsp://camera/stream", SourcePolicy()), 25.0) == 25.0
    (tmp_path / "v.mp4").touch()
    assert own_rate_hz(SourceUrl.from_path(tmp_path / "v.mp4"), 25.0) == 0.0
