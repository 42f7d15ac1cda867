"""The stored run of a video: written whole, read back the same, refused when it contradicts itself."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from models.errors import EvaluationError
from models.evaluation.videos.run import EventRun, TrackRun, read_video_run, read_video_runs, write_video_run
from tests.models.scripted_run import clip, run, track


def test_video_run_is_read_back_as_it_was_written(tmp_path: Path):
    event = EventRun(track_id=1, action="Walking", start_s=0.5, end_s=2.0, confidence=0.9)
    written = run([track(1, range(5, 30))], [clip(1, 0.5, 1.5, 2)], [event])
    write_video_run(tmp_path / "runs" / "v1.json", written)
    assert read_video_run(tmp_path / "runs" / "v1.json") == written
    assert [item.video for item in read_video_runs(tmp_path / "runs")] == ["v1"]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["v1.json"]


def test_video_run_damaged_missing_or_contradictory_is_refused(tmp_path: Path):
    path = tmp_path / "v1.json"
    write_video_run(path, run([track(1, range(3))]))
    path.write_text(path.read_text()[:-20])
    with pytest.raises(EvaluationError, match=r"v1\.json"):
        read_video_run(path)
    with pytest.raises(EvaluationError, match="holds no run"):
        read_video_runs(tmp_path / "nowhere")
    short = track(1, range(3)).model_copy(update={"shown": (1,)})
    with pytest.raises(ValidationError, match="columns of different lengths"):
        run([TrackRun.model_validate(short.model_dump())])
