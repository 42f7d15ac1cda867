"""One entrance for configuration: equal settings mean equal work, whichever command does it."""

from __future__ import annotations

import os
import shutil
from argparse import Namespace
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr

from models.errors import CardError
from models.weights.cards import CARD_FILE, LABELS_FILE, MODEL_FILE, ModelCard, ModelInput, read_card
from models.weights.motion_head import write_motion_head
from pipeline.actions import Evidence, SmootherConfig
from pipeline.clips import ClipConfig
from pipeline.form.exercises import Exercise
from pipeline.form.watch import FormConfig
from pipeline.tracker import TrackerConfig
from service.commands.clip_options import loaded
from service.commands.dataset.people import people_source
from service.commands.options import model_folder
from service.configuration import EngineConfig, StagesConfig, read_form
from service.processes.messages import pack, unpack
from service.processes.setups import inference_setup, stream_setup
from service.settings import PREFIX, load_settings
from service.storage.records import StreamRecord
from tests.pipeline.motion_heads import speed_head
from tests.service.commands.command_line import typed

INPUT = ModelInput(frames=32, height=112, width=112, margin=0.6, rate_hz=12.5)
WORK = {  # what decides how people are found and clips classified, none of it as by default
    "MODEL": "gym",
    "RUNTIME": "openvino:f32",
    "DETECTOR_IMAGE_SIZE": "960",
    "DETECTOR_CONFIDENCE": "0.2",
    "TRACK_CONFIDENCE": "0.45",
    "CLIP_HOP": "10",
    "FIRST_CLIP": "20",
    "MOTION": "false",
    "THREADS": "3",
    "BATCH": "5",
    "STEM_MEMORY_MB": "77",
}


class Told(Exception):
    """What a command told the part that does its work, which ends it here."""

    def __init__(self, engine: EngineConfig, stages: StagesConfig | None = None) -> None:
        super().__init__()
        self.engine = engine
        self.stages = stages


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every setting that matters is set. A model's folder, and a video that is annotated."""
    paths = {
        "WEIGHTS_DIR": "weights",
        "DATA_DIR": "data",
        "DETECTOR": "own.onnx",
        "APPEARANCE": "osnet.onnx",
        "POSE_WEIGHTS": "pose",
    }
    for name, value in {**WORK, **{name: str(tmp_path / value) for name, value in paths.items()}}.items():
        monkeypatch.setenv(f"ACTOSCOPE_{name}", value)
    model = tmp_path / "weights" / "gym"
    model.mkdir(parents=True)
    (model / LABELS_FILE).write_text("push up\nsquat\n")
    card = ModelCard(
        name="gym",
        kind="i3d",
        num_classes=2,
        input=INPUT,
        provenance="a test",
        licence="none",
        sha256={MODEL_FILE: "0" * 64, LABELS_FILE: "0" * 64},
    )
    (model / CARD_FILE).write_text(card.model_dump_json())
    videos = tmp_path / "videos"
    (videos / "mot").mkdir(parents=True)
    (videos / "v.mp4").touch()
    (videos / "mot" / "v.txt").write_text("1,1,10,50,20,40,1,1,1\n")
    (videos / "actions.csv").write_text(
        "clip,track_id,start_frame,end_frame,label,source_group,split\nv,1,1,1,squat,1,val\n"
    )
    return tmp_path


def told_by(command: Callable[[], object]) -> Told:
    with pytest.raises(Told) as caught:
        command()
    return caught.value


def by_serve(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    """What the supervisor tells the processes that it starts."""
    settings = load_settings()
    record = StreamRecord("str_1", "street", SecretStr("file:///v.mp4"), settings.model)
    inference = unpack(pack(inference_setup(settings, "unix:///i")))
    stream = unpack(pack(stream_setup(settings, record, "unix:///i")))
    return Told(inference.engine, stream.stages)


def by_annotate(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    def annotate(job: Any, *_: object) -> None:
        raise Told(job.engine, job.stages)

    monkeypatch.setattr("service.commands.annotate.annotate", annotate)
    return told_by(lambda: typed("annotate", folder / "videos" / "v.mp4"))


def by_evaluate(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    def run_videos(job: Any, *_: object) -> None:
        raise Told(job.engine, job.stages)

    monkeypatch.setattr("service.commands.evaluate.run_videos", run_videos)
    return told_by(
        lambda: typed("evaluate", "gym", "--videos", folder / "videos", "--output", folder / "out", "--quiet")
    )


def by_clips_of_evaluate(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    def load_classifier(config: EngineConfig, _name: str) -> None:
        raise Told(config)

    monkeypatch.setattr("service.commands.clip_options.load_classifier", load_classifier)
    return told_by(lambda: loaded(model_folder(load_settings(), "gym"), Namespace(runtime=None)))


def by_extract(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    def load_people_finder(config: EngineConfig) -> None:
        raise Told(config)

    monkeypatch.setattr("service.commands.dataset.people.load_people_finder", load_people_finder)
    return told_by(lambda: typed("dataset", "extract", folder / "videos", "--work", folder / "work"))


def by_export(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    def load_people_finder(config: EngineConfig) -> None:
        raise Told(config)

    monkeypatch.setattr("service.commands.export.load_people_finder", load_people_finder)
    video = folder / "videos" / "v.mp4"
    return told_by(lambda: typed("export", "gym", "--format", "onnx", "--video", video, "--quiet"))


ENTRANCES = (by_serve, by_annotate, by_evaluate, by_clips_of_evaluate, by_extract, by_export)


@pytest.mark.parametrize("entrance", ENTRANCES)
def test_every_entrance_gives_equal_configurations_for_equal_settings(
    entrance: Callable[[Path, pytest.MonkeyPatch], Told], folder: Path, monkeypatch: pytest.MonkeyPatch
):
    told = entrance(folder, monkeypatch)
    # A model may be told by its name or by its folder. Only the service measures, leaves frames out, begins lightly.
    assert replace(told.engine, model=told.engine.model_dir.name, measure=False, light_first=False) == EngineConfig(
        weights_dir=folder / "weights",
        cache_dir=folder / "data" / "cache",
        model="gym",
        runtime="openvino:f32",
        detector=folder / "own.onnx",
        detector_image_size=960,
        detector_confidence=0.2,
        appearance=folder / "osnet.onnx",
        pose_weights=folder / "pose",
        max_batch=5,
        stem_memory_mb=77,
        threads=3,
    )
    assert told.engine.model_dir == folder / "weights" / "gym"
    if told.stages is not None:
        clip = ClipConfig(
            length=32, rate_hz=12.5, hop=5, provisional_from=10, size=112, margin=0.6
        )  # as long as at 25 Hz
        assert replace(told.stages, adaptive=False) == StagesConfig(clip, track_confidence=0.45, model="gym")


def test_extract_tracks_as_the_service_does(folder: Path, monkeypatch: pytest.MonkeyPatch):
    told: list[object] = []
    detector = SimpleNamespace(description="YOLO of a test")
    finder = SimpleNamespace(detector=detector, encoder="encoder")
    monkeypatch.setattr("service.commands.dataset.people.load_people_finder", lambda _config: finder)
    monkeypatch.setattr("service.commands.dataset.people.pipeline_people", lambda *given: told.extend(given))
    people_source(None, 25, [])
    assert told == [detector, "encoder", "YOLO at 960, from 0.45", TrackerConfig.starting_at(0.45)]


def test_every_setting_that_engine_and_stages_know_is_asked_for_here():
    """One that is added to them shall be added to the test above."""
    named = {name.lower() for name in WORK} | {"weights_dir", "cache_dir", "detector", "appearance", "pose_weights"}
    renamed = {"max_batch": "batch", "clip": "clip_hop"}
    not_settings = {"max_models", "measure", "light_first", "smoother", "adaptive", "first_track_id"}
    not_settings |= {"light_clip", "light_model"}  # follow from the model's card
    not_settings |= {"form"}  # each stream's own, over EXERCISE_RULES
    for field in (*fields(EngineConfig), *fields(StagesConfig)):
        assert field.name in not_settings or renamed.get(field.name, field.name) in named


def test_defaults_are_those_of_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in [name for name in os.environ if name.upper().startswith(PREFIX)]:
        monkeypatch.delenv(name)
    settings = load_settings(weights_dir=tmp_path, data_dir=tmp_path)
    assert EngineConfig.from_settings(settings) == EngineConfig(tmp_path, tmp_path / "cache")
    assert StagesConfig.without_card(settings) == StagesConfig()


def test_arguments_of_a_command_stand_over_the_settings(folder: Path):
    settings = load_settings()
    engine = EngineConfig.from_settings(
        settings, model="other", runtime="onnx", detector=folder / "best.pt", measure=True
    )
    assert (engine.model, engine.runtime, engine.detector, engine.measure) == (
        "other",
        "onnx",
        folder / "best.pt",
        True,
    )
    assert replace(
        engine, model="gym", runtime="openvino:f32", detector=folder / "own.onnx", measure=False
    ) == EngineConfig.from_settings(settings)
    plain = StagesConfig.from_settings(settings, folder / "weights" / "gym")
    stages = StagesConfig.from_settings(settings, folder / "weights" / "gym", hop=4, first_clip=6, track_confidence=0.7)
    assert stages == replace(plain, clip=replace(plain.clip, hop=4, provisional_from=6), track_confidence=0.7)


def test_lighter_network_gets_clips_of_its_own_at_the_same_pace(folder: Path):
    heavy = folder / "weights" / "gym"
    light = folder / "weights" / "gym-light"
    shutil.copytree(heavy, light)
    card = read_card(heavy)
    (heavy / CARD_FILE).write_text(card.model_copy(update={"light": "gym-light"}).model_dump_json())
    small = ModelInput(frames=16, height=64, width=64, margin=0.6, rate_hz=6.25)
    (light / CARD_FILE).write_text(card.model_copy(update={"name": "gym-light", "input": small}).model_dump_json())
    assert StagesConfig.from_settings(load_settings(), heavy).light_clip is None, "files are not for both at once"
    stages = StagesConfig.from_settings(load_settings(), heavy, with_light=True)
    assert stages.light_model == "gym-light"
    assert stages.light_clip == ClipConfig(length=16, rate_hz=6.25, hop=2, provisional_from=5, size=64, margin=0.6)
    alone = stages.lighter()
    assert (alone.clip, alone.model, alone.light_clip) == (stages.light_clip, "gym-light", None)
    with pytest.raises(CardError, match="gym-light has no lighter network"):
        alone.lighter()


def test_events_need_what_the_cards_of_both_networks_ask_for(folder: Path):
    heavy, light = folder / "weights" / "gym", folder / "weights" / "gym-light"
    shutil.copytree(heavy, light)
    card = read_card(heavy)
    label, other = card.labels[:2]
    ours = card.model_copy(update={"light": "gym-light", "evidence": {label: Evidence(0.8, 0.5, 1)}})
    (heavy / CARD_FILE).write_text(ours.model_dump_json())
    theirs = {label: Evidence(0.7, 0.5, 2), other: Evidence(0.6)}
    (light / CARD_FILE).write_text(card.model_copy(update={"name": "gym-light", "evidence": theirs}).model_dump_json())
    alone = StagesConfig.from_settings(load_settings(), heavy)
    assert alone.smoother == SmootherConfig(evidence={label: Evidence(0.8, 0.5, 1)})
    both = StagesConfig.from_settings(load_settings(), heavy, with_light=True).watching_for({label: 0.4})
    assert both.smoother.evidence == {label: Evidence(0.8, 0.5, 2), other: Evidence(0.6)}
    assert both.smoother.needs(label) == Evidence(0.4, 0.5, 2), "a stream's own threshold stands over the card's"


def test_boxes_speak_beside_both_networks_unless_the_settings_say_no(folder: Path, monkeypatch: pytest.MonkeyPatch):
    heavy, light = folder / "weights" / "gym", folder / "weights" / "gym-light"
    shutil.copytree(heavy, light)
    card = read_card(heavy)
    (heavy / CARD_FILE).write_text(card.model_copy(update={"light": "gym-light"}).model_dump_json())
    heads = {path.name: speed_head(card.labels, share) for path, share in ((heavy, 0.5), (light, 0.25))}
    for path in (heavy, light):
        write_motion_head(path, heads[path.name])
    assert StagesConfig.from_settings(load_settings(), heavy, with_light=True).motion == {}  # as WORK says
    monkeypatch.setenv("ACTOSCOPE_MOTION", "true")
    stages = StagesConfig.from_settings(load_settings(), heavy, with_light=True)
    assert stages.motion == heads
    setup = stream_setup(load_settings(), StreamRecord("s", "street", SecretStr("file:///v.mp4"), "gym"), "unix:///i")
    assert unpack(pack(setup)).stages.motion == heads  # as the stream's process gets it
    assert StagesConfig.from_settings(load_settings(), heavy).motion == {"gym": heads["gym"]}


def test_lighter_network_with_other_labels_is_left_out_and_said(folder: Path, caplog: pytest.LogCaptureFixture):
    heavy = folder / "weights" / "gym"
    light = folder / "weights" / "gym-light"
    shutil.copytree(heavy, light)
    (light / LABELS_FILE).write_text("squat\npush up\n")
    card = read_card(heavy)
    (heavy / CARD_FILE).write_text(card.model_copy(update={"light": "gym-light"}).model_dump_json())
    assert StagesConfig.from_settings(load_settings(), heavy, with_light=True).light_clip is None
    assert "it knows other labels" in caplog.text
    (light / CARD_FILE).unlink()
    assert StagesConfig.from_settings(load_settings(), heavy, with_light=True).light_clip is None
    assert "gym-light" in caplog.text


def test_stages_watch_for_some_labels_or_for_all():
    watching = StagesConfig().watching_for({"squat": 0.6})
    assert watching.smoother.thresholds == {"squat": 0.6}
    assert watching.watching_for({}) == watching.watching_for(None) == StagesConfig()


def test_thresholds_of_exercises_are_the_streams_over_the_files_over_the_usual(tmp_path: Path):
    rules = tmp_path / "rules.json"
    rules.write_text('{"squat": {"low_deg": 95, "heels_up": null}, "pull-up": {"extended_deg": 150}}')
    config = read_form("squat", rules, {"squat": {"low_deg": 80}})
    squat, pull_up = config.rules[Exercise.SQUAT], config.rules[Exercise.PULL_UP]
    assert (config.exercise, squat.low_deg, squat.heels_up, pull_up.extended_deg) == (Exercise.SQUAT, 80, None, 150)
    assert read_form("auto", None, None) == FormConfig()


@pytest.mark.parametrize("content", ["", "[1]", '{"squat": 3}', '{"squat": {"low_deg": "deep"}}', '{"sqat": {}}'])
def test_file_of_thresholds_that_holds_none_is_named(tmp_path: Path, content: str):
    rules = tmp_path / "rules.json"
    rules.write_text(content)
    with pytest.raises(ValueError, match=r"rules\.json: expected JSON such as"):
        read_form("squat", rules, None)
    with pytest.raises(ValueError, match="absent"):
        read_form("squat", tmp_path / "absent", None)


def test_model_folder_is_a_folder_with_a_card_or_a_name_in_the_weights_directory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    settings = load_settings()
    assert model_folder(settings, "gym") == folder / "weights" / "gym"
    assert model_folder(settings, "nobody") == folder / "weights" / "nobody"
    monkeypatch.chdir(folder / "weights")
    (folder / "weights" / "gym").rename(folder / "weights" / "here")
    assert model_folder(settings.model_copy(update={"weights_dir": folder}), "here") == folder / "weights" / "here"
