"""The pipeline over whole videos: what is kept is what was shown, and nothing is done twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from models.errors import EvaluationError
from models.evaluation.videos.run import VideoRun, read_video_run
from models.evaluation.videos.scores import shown_scores, winners
from models.weights.cards import LABELS_FILE, MODEL_FILE, ModelCard, ModelInput, read_card
from pipeline.actions import ActionSmoother, SmootherConfig
from pipeline.detector import resolve_person_weights
from pipeline.entities import Frame
from pipeline.motion_voice import MotionVoice
from pipeline.stride import StrideController
from pipeline.tracker import PersonTracker
from service.budget.tiered_clips import TieredClips
from service.configuration import EngineConfig, StagesConfig
from service.offline.run_recorder import RecordingInference, RunRecorder
from service.offline.video_evaluation import VideoJob, run_videos
from service.stream import Stages, run_stream
from tests.pipeline.motion_heads import speed_head
from tests.service.test_stream import LABELS, ScriptedInference
from tests.service.tiny_model import tiny_weights  # noqa: F401 - a fixture
from tests.support.places import REPOSITORY, SHARED, STREET

CARD = ModelCard(
    name="m",
    kind="se_i3d",
    num_classes=2,
    input=ModelInput(frames=32, height=64, width=64, margin=0.4, rate_hz=12.5),
    provenance="test",
    licence="none",
    sha256={MODEL_FILE: "0" * 64, LABELS_FILE: "0" * 64},
)


def scripted_frames(count: int) -> list[Frame]:
    return [
        Frame(np.zeros((240, 400, 3), np.uint8), index, index / 25, 100 + index / 25, 0.0) for index in range(count)
    ]


def test_recorder_keeps_what_was_shown_and_what_it_was_made_from():
    inference, sink = RecordingInference(ScriptedInference()), RunRecorder(LABELS)
    clip = CARD.input.clip_config(8, provisional_from=24)
    stages = Stages(PersonTracker(), TieredClips("m", clip), ActionSmoother(), StrideController(adaptive=False))
    run_stream(scripted_frames(90), inference, stages, sink)
    (track,) = sink.tracks()
    assert sink.size_hw == (240, 400) and sink.frame_numbers == list(range(1, 91))
    assert sink.times_s[-1] == pytest.approx(89 / 25)
    first = track.frames[0]
    assert list(track.frames) == list(range(first, 90)), "from the frame that confirms the person on"
    np.testing.assert_allclose(track.boxes_xyxy[-1], (139, 60, 179, 180), atol=3)
    begin = next(place for place, label in enumerate(track.shown) if label == 1)
    assert set(track.shown[:begin]) == {-1} and set(track.shown[begin:]) == {1}
    answer = inference.clips[0]
    assert track.frames[begin] / 25 == pytest.approx(answer.end_s), "the label comes with the first answer"
    assert (answer.filled, answer.provisional, answer.probabilities) == (24, True, (0.1, 0.9))
    (event,) = sink.events
    assert event.action == "walking" and event.end_s == pytest.approx(89 / 25)


def test_recorder_keeps_answers_with_what_boxes_say_beside_them():
    motion = MotionVoice({"": speed_head(LABELS, share=0.9)})  # scripted answers name no network
    inference, sink = RecordingInference(ScriptedInference(), motion), RunRecorder(LABELS)
    clips = TieredClips("m", CARD.input.clip_config(8, provisional_from=24))
    stages = Stages(PersonTracker(), clips, ActionSmoother(), StrideController(adaptive=False), motion)
    run_stream(scripted_frames(90), inference, stages, sink)
    (track,) = sink.tracks()
    said = {int(np.argmax(clip.probabilities)) for clip in inference.clips}
    assert said == {0} and set(track.shown) == {-1, 0}, "a fifth of a height a second is no walk"


def test_run_videos_refuses_missing_and_equally_named_videos(tmp_path: Path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.mp4").touch()
    engine = EngineConfig(tmp_path, tmp_path)
    job = VideoJob(
        (tmp_path / "a" / "x.mp4", tmp_path / "b" / "x.mp4", tmp_path / "y.mp4"), tmp_path, engine, StagesConfig()
    )
    with pytest.raises(EvaluationError, match=r"y\.mp4 does not exist; 2 videos are called x"):
        run_videos(job)
    with pytest.raises(EvaluationError, match="no video was given"):
        run_videos(replace(job, videos=()))


def cut(video: Path, target: Path, frames: int) -> Path:
    """The first ``frames`` pictures of a video as a video of their own."""
    with av.open(str(video)) as source, av.open(str(target), "w") as out:
        stream = out.add_stream("libx264", rate=source.streams.video[0].average_rate, options={"preset": "ultrafast"})
        for index, frame in enumerate(source.decode(video=0)):
            if index == frames:
                break
            if index == 0:
                stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame.to_ndarray(format="rgb24"), format="rgb24")))
        out.mux(stream.encode())
    return target


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_run_videos_keeps_one_file_a_video_and_goes_on_where_it_stopped(
    tiny_weights: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    converted = SHARED / "weights" / "yolo11n-int8-openvino"  # ready to run, hence the faster
    detector = converted if converted.is_dir() else resolve_person_weights(REPOSITORY / "weights")
    if not Path(detector).exists():
        pytest.skip("no person detector: neither weights/person nor ../shared/weights is here")
    street = cut(STREET, tmp_path / "street.mp4", 36)
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    engine = EngineConfig(
        tmp_path, tmp_path / "cache", str(tiny_weights), "openvino", Path(detector), detector_image_size=320
    )
    stages = StagesConfig(read_card(tiny_weights).input.clip_config(8, 8), track_confidence=0.6)
    job = VideoJob((tmp_path / "broken.mp4", street), tmp_path / "runs", engine, stages)
    notes: list[str] = []
    with pytest.raises(EvaluationError, match=r"1 of 2 videos cannot be read: .*broken\.mp4"):
        run_videos(job, lambda done, total, note: notes.append(f"{done}/{total} {note}"))
    assert notes[1].startswith("2/2 street: 36 frames"), "the others are done all the same"
    good = replace(job, videos=(street,))
    written = read_video_run(tmp_path / "runs" / "street.json")
    check_run(written)
    check_goes_on(good, written, monkeypatch)


def check_goes_on(job: VideoJob, written: VideoRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there is not made again; other smoothing is applied to it; another hop needs the networks."""

    def loaded(_config: EngineConfig) -> None:
        raise RuntimeError("networks are loaded")

    monkeypatch.setattr("service.offline.video_evaluation.InferenceEngine", loaded)
    path = job.output / "street.json"
    before = path.stat().st_mtime_ns
    assert run_videos(job) == [path] and path.stat().st_mtime_ns == before
    run_videos(replace(job, stages=replace(job.stages, smoother=SmootherConfig(on=0.9, off=0.8))))
    other = read_video_run(path)
    assert other.settings["smoother.on"] == 0.9 and other.clips == written.clips
    with pytest.raises(RuntimeError, match="networks are loaded"):
        run_videos(replace(job, stages=replace(job.stages, clip=replace(job.stages.clip, hop=16))))
    path.write_text("{")
    with pytest.raises(RuntimeError, match="networks are loaded"):
        run_videos(job)


def check_run(run: VideoRun) -> None:
    """What is stored makes what was shown: replayed, the raw answers give the same labels and events."""
    assert len(run.times_s) == 36 and run.tracks and run.clips and run.problem is None
    assert run.labels == ("Fighting", "Standing", "Walking") and run.settings["detector_image_size"] == 320
    replayed = shown_scores(run)
    for track in run.tracks:
        assert winners(replayed.scores[track.track_id]).tolist() == list(track.shown)
    key = [(event.track_id, event.action, round(event.start_s, 3), round(event.end_s, 3)) for event in run.events]
    assert key == [
        (event.track_id, event.action, round(event.start_s, 3), round(event.end_s, 3)) for event in replayed.events
    ]
