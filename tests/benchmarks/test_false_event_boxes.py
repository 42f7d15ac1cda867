"""What boxes say beside the networks of folds: heads that saw nothing of a fold, and stored answers with them."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import false_events
from benchmarks.events import boxes
from benchmarks.events.boxes import beside, box_heads
from benchmarks.events.folds import Folds
from benchmarks.events.recorded import read_recorded
from benchmarks.events.study import Setting
from benchmarks.events.videos import Video
from models.data.manifest import ClipRecord, Dataset, DatasetInfo, Split, class2label
from models.evaluation.videos.run import TrackRun
from models.motion_training import TEMPERATURE
from models.training.run.cross_validation import grouped_folds
from models.weights.motion_head import MOTION_FILE
from pipeline.actions import Evidence
from pipeline.motion import Way, motion
from pipeline.motion_voice import MotionHead
from tests.models.scripted_run import LABELS, clip, run, track, truth
from tests.pipeline.motion_heads import speed_head

TWO = ("Standing", "Walking")
TARGETS = np.arange(40) % 2
HEAD = speed_head(LABELS)


def walker(track_id: int, frames: Sequence[int]) -> TrackRun:
    """A height a second to the right."""
    lefts = [10.0 + 4.0 * frame for frame in frames]
    return track(track_id, frames).model_copy(update={"boxes_xyxy": tuple((x, 50.0, x + 20, 90.0) for x in lefts)})


def unsure(track_id: int, start_s: float, end_s: float):
    return clip(track_id, start_s, end_s, 0, 1 / 3)


def test_who_moves_walks_and_who_stays_does_not() -> None:
    stored = run([walker(1, range(40)), track(2, range(40), 300.0)], [unsure(1, 0.0, 2.0), unsure(2, 1.0, 3.0)])
    moving, still = beside(stored, HEAD).clips
    assert moving.probabilities[2] > 0.75 and still.probabilities[2] < 0.1
    assert sum(moving.probabilities) == pytest.approx(1, abs=1e-5)
    assert beside(stored, HEAD).model_copy(update={"clips": stored.clips}) == stored, "nothing else is changed"


def test_answer_is_the_head_s_own_about_the_way_during_the_clip() -> None:
    stored = run([walker(1, range(40)), track(2, range(40), 60.0)], [clip(1, 1.0, 3.0, 0, 0.7)])
    own = np.asarray([(10.0 + 4.0 * frame, 50.0, 30.0 + 4.0 * frame, 90.0) for frame in range(10, 31)])
    sampled = np.round(np.arange(0, 51) / 2.5).astype(int)  # 10 pictures a second on the grid of 25
    other = np.tile(np.asarray([60.0, 50.0, 80.0, 90.0]), (1, len(sampled), 1))
    expected = HEAD.beside(np.asarray([0.7, 0.15, 0.15], np.float32), motion(Way(own[sampled], other)))
    assert beside(stored, HEAD).clips[0].probabilities == pytest.approx(expected, abs=0.02)


def test_clip_of_which_too_little_is_known_keeps_its_answer() -> None:
    stored = run([walker(1, range(40))], [clip(1, 1.0, 1.1, 1), clip(7, 0.0, 2.0, 1)])
    short, nobody = beside(stored, HEAD).clips  # two pictures; a person that no frame shows
    assert short.probabilities == pytest.approx(stored.clips[0].probabilities)
    assert nobody.probabilities == pytest.approx(stored.clips[1].probabilities)


def test_head_with_other_labels_is_refused() -> None:
    with pytest.raises(
        ValueError, match="expected the labels Fighting, Standing, Walking of v1, got standing, walking"
    ):
        beside(run([], []), speed_head())


def test_folds_judge_with_their_temperature_and_their_head() -> None:
    stored = run([walker(1, range(40))], [clip(1, 0.0, 2.0, 0, 0.6)])
    groups, folder = [{"a"}, {"b"}], Path()
    alone = Folds(groups, folder, {1: 2.0, 2: 1.0})
    both = replace(alone, heads={1: HEAD, 2: HEAD})
    flat = np.sqrt([0.6, 0.2, 0.2]) / np.sqrt([0.6, 0.2, 0.2]).sum()
    assert alone.judged("a", stored).clips[0].probabilities == pytest.approx(flat)
    assert alone.judged("b", stored).clips == stored.clips
    assert both.judged("a", stored) == beside(alone.judged("a", stored), HEAD)


def way(speed: float, seed: int, samples: int = 50) -> Way:
    left = 100 * speed * np.arange(samples) / 25
    still = np.stack([left, np.zeros(samples), left + 45, np.full(samples, 100.0)], axis=1)
    return Way(still + np.random.default_rng(seed).normal(0, 1.0, still.shape), np.zeros((0, samples, 4)))


def known() -> tuple[Dataset, list[Way], list[np.ndarray]]:
    """40 people of ten sources, their ways, and who is in which fold."""
    records = tuple(
        ClipRecord(Path(f"{index}.mkv"), TWO[target], f"g{index // 4}", Split.TRAIN)
        for index, target in enumerate(TARGETS)
    )
    dataset = Dataset(Path(), DatasetInfo(class2label=class2label(TWO)), records)
    ways = [way(1.2 * target + 0.05 * (seed % 5), seed) for seed, target in enumerate(TARGETS)]
    return dataset, ways, grouped_folds(records, TARGETS.tolist(), 5, 0)


def learnt(
    monkeypatch: pytest.MonkeyPatch, logits: dict[int, np.ndarray], broken: Sequence[int] = ()
) -> dict[int, MotionHead]:
    """``broken``: people whose boxes rush about."""
    dataset, ways, _ = known()
    shown = [way(9.0, 1) if index in broken else each for index, each in enumerate(ways)]
    monkeypatch.setattr(boxes, "people", lambda *_: shown)
    return box_heads(dataset, Path(), logits, dict.fromkeys(logits, 1.0))


def answers(folds: Sequence[np.ndarray], sure: float) -> dict[int, np.ndarray]:
    """Of networks that are always right."""
    return {number: sure * np.eye(2)[TARGETS[held]] for number, held in enumerate(folds, 1)}


def test_heads_learn_nothing_of_their_own_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    folds = known()[2]
    logits = answers(folds, 1.0)
    honest = learnt(monkeypatch, logits)
    broken = learnt(monkeypatch, logits, folds[1].tolist())
    assert honest[2] == replace(broken[2], temperature=honest[2].temperature)
    assert honest[1].coefficients != broken[1].coefficients
    assert sorted(honest) == [1, 2, 3, 4, 5] and honest[1].labels == TWO


def test_temperature_of_both_is_that_of_the_other_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    folds = known()[2]
    right = answers(folds, 8.0)
    wrong = right | {2: -right[2]}
    before, after = learnt(monkeypatch, right), learnt(monkeypatch, wrong)
    assert after[2] == before[2], "its own answers play no part"
    assert all(after[fold].temperature > before[fold].temperature for fold in (1, 3, 4, 5))
    (only,) = {head.temperature for head in learnt(monkeypatch, {}).values()}
    assert only == TEMPERATURE, "nothing to fit on"


SHIPPED = Evidence(0.65, 0.0)
KINDS = {"x": "fight", "y": "surveillance", "z": "street"}


def studied(monkeypatch: pytest.MonkeyPatch, work: Path, box_folder: Path | None) -> None:
    """Three videos in whose first second the network is all but sure of a fight, and somebody walks."""
    videos = [Video(Path(name), kind, name, name) for name, kind in KINDS.items()]
    stored = {each: run([walker(1, range(40))], [clip(1, 0.0, 1.0, 0, 0.9)], video=each.name) for each in videos}
    truths = {name: truth([], {}, video=name, group=name) for name in ("x", "y")}
    folds = Folds([{"x"}, {"y", "z"}], Path(), {1: 1.0, 2: 1.0}, {1: HEAD, 2: HEAD} if box_folder else {})
    monkeypatch.setattr(false_events, "read_videos", lambda _: (videos, truths))
    monkeypatch.setattr(false_events, "read_dataset", lambda _: None)
    monkeypatch.setattr(false_events, "read_folds", lambda *_: folds)
    monkeypatch.setattr(false_events, "stored_run", lambda _, video: stored[video])
    monkeypatch.setattr(false_events, "settings", lambda: [Setting(Evidence(0.95)), Setting(Evidence())])
    monkeypatch.setattr(false_events, "RECORDED", work / "recorded.json.gz")
    card = Namespace(evidence={"Fighting": SHIPPED}, sha256={MOTION_FILE: ""})
    monkeypatch.setattr(false_events, "read_card", lambda _: card)
    places = dict.fromkeys(("videos", "work", "data", "networks", "weights"), work)
    output = work / "report.json"
    false_events.study(Namespace(**places, tier="light", every=[], boxes=box_folder, output=output, write_docs=False))


def test_study_keeps_networks_alone_and_with_boxes_apart_and_records_what_ships(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    studied(monkeypatch, tmp_path, None)
    assert not (tmp_path / "recorded.json.gz").exists()
    studied(monkeypatch, tmp_path, tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    alone, both = report["light"], report["light, boxes"]
    assert (alone["ships"], both["ships"]) == (False, True)
    assert alone["as_shipped"]["setting"] == asdict(Setting(SHIPPED))
    assert (alone["as_shipped"]["point"]["false_events"], both["as_shipped"]["point"]["false_events"]) == (2, 0)
    assert set(alone["at_most"]) == {"2", "10", "50", "100", "now", "shipped"}
    assert alone["fights"]["clips"]["videos"] == 2 and alone["fights"]["clips"]["roc_auc"]["value"] == 0.5
    (first, *_) = read_recorded(tmp_path / "recorded.json.gz")
    assert first.replay.run.clips[0].probabilities[2] > 0.4, "with boxes"
    assert "`surveillance-light` with boxes, as it ships, 3 videos" in capsys.readouterr().out
