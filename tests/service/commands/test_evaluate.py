"""``actoscope evaluate`` and ``compare`` on a real, if random, network: files, card and what is printed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from models.data.clip_file import write_clip
from models.data.manifest import ClipRecord, Dataset, DatasetInfo, Split, class2label, write_dataset
from models.evaluation.videos.run import write_video_run
from models.weights.cards import ModelInput, read_card
from pipeline.tracker import TrackerConfig
from service.cli import main
from tests.models.scripted_run import clip, run, track
from tests.service.tiny_model import LABELS, tiny_weights  # noqa: F401 - a fixture


@pytest.fixture
def model(tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: F811
    """A copy of the tiny network whose card may be written, with the service's folders under ``tmp_path``."""
    monkeypatch.setenv("ACTOSCOPE_DATA_DIR", str(tiny_weights.parent / "data"))  # converted once for all tests
    monkeypatch.setenv("ACTOSCOPE_WEIGHTS_DIR", str(tmp_path / "weights"))
    return Path(shutil.copytree(tiny_weights, tmp_path / "weights" / "tiny"))


def write_data(folder: Path) -> Path:
    """Six clips of noise, two a class, each in a group of its own."""
    rng = np.random.default_rng(0)
    records = []
    for number in range(6):
        path = folder / "clips" / f"{number}.mp4"
        write_clip(path, rng.integers(0, 255, (16, 64, 64, 3), np.uint8), 25.0)
        records.append(ClipRecord(path, LABELS[number % 3], f"g{number}", Split.VAL))
    form = ModelInput(frames=16, height=64, width=64)
    write_dataset(Dataset(folder, DatasetInfo(class2label=class2label(LABELS), input=form), tuple(records)))
    return folder


def test_evaluate_writes_report_and_card_and_compare_puts_two_side_by_side(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    data, output = write_data(tmp_path / "data"), tmp_path / "out"
    asked = ["evaluate", "tiny", str(data), "--output", str(output), "--runtime", "openvino", "--flip", "--quiet"]
    assert main([*asked, "--classes", "Fighting,Walking", "--write-card"]) == 0
    told = capsys.readouterr().out
    evaluation = json.loads((output / "evaluation.json").read_text())
    assert str(output / "report.html") in told and "val/macro_f1/Fighting+Walking" in told
    assert evaluation["clips"]["count"] == 6 and evaluation["views"]["flip"] is True
    card = read_card(model)
    assert card.temperature == pytest.approx(evaluation["clips"]["calibration"]["temperature"], abs=1e-5)
    assert card.metrics["val/top1"] == pytest.approx(evaluation["clips"]["whole"]["metrics"]["top1"], abs=1e-4)
    other = shutil.copytree(model, model.with_name("other"))
    asked = ["compare", "tiny", str(other), str(data), "--output", str(output / "both"), "--runtime", "openvino"]
    assert main([*asked, "--quiet"]) == 0
    rows = json.loads((output / "both" / "comparison.json").read_text())["tables"][0]["rows"]
    assert [row["model"] for row in rows] == ["tiny", "other"]
    assert rows[1]["difference"]["value"] == 0, "the same network"
    assert (output / "both" / "comparison.html").is_file() and "macro F1 over Fighting" in capsys.readouterr().out


def test_evaluate_of_videos_scores_the_runs_that_are_there(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """The pipeline's own part is tested with ``run_videos``; here its runs are given, and all around them is real."""
    folder, output = tmp_path / "videos", tmp_path / "out"
    (folder / "mot").mkdir(parents=True)
    header = "clip,track_id,start_frame,end_frame,label,source_group,split\n"
    (folder / "actions.csv").write_text(f"{header}v1,1,1,40,Walking,1,val\nt1,1,1,40,Unclear,2,train\n")
    (folder / "clips.csv").write_text("clip,label,source_group,split\nv1,Calm,1,val\n")
    for name in ("v1", "t1"):
        (folder / f"{name}.mp4").touch()
        boxes = "".join(f"{frame},1,10,50,20,40,1,1,1\n" for frame in range(1, 41))
        (folder / "mot" / f"{name}.txt").write_text(boxes)

    def given(job, progress):
        assert [path.stem for path in job.videos] == ["v1"], "nothing of train is needed without --positive"
        tracker = TrackerConfig.starting_at(job.stages.track_confidence)
        assert (job.stages.clip.hop, job.stages.clip.provisional_from) == (8, 10)
        assert (tracker.start, tracker.strong) == (0.3, 0.3)
        assert Path(job.engine.model) == model and job.output == output / "videos"
        path = job.output / "v1.json"
        write_video_run(path, run([track(1, range(40))], [clip(1, 0.0, 1.0, 2)]))
        progress(1, 1, "v1")
        return [path]

    monkeypatch.setattr("service.commands.evaluate.run_videos", given)
    asked = ["evaluate", "tiny", "--videos", str(folder), "--output", str(output), "--hop", "8", "--quiet"]
    assert main([*asked, "--provisional-from", "10", "--track-start", "0.3"]) == 0
    assert "val/videos/hindsight/frame_macro_f1/Fighting+Standing+Walking" in capsys.readouterr().out
    videos = json.loads((output / "evaluation.json").read_text())["videos"]
    assert videos["readings"][2]["frames"][0]["macro_f1"]["value"] == 1
    assert "Whole videos of the split val" in (output / "report.html").read_text()


def test_evaluate_of_negatives_alone_prints_and_reports_the_curve(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "calm").mkdir()
    (tmp_path / "calm" / "c1.mp4").touch()

    def given(job, progress):
        path = job.output / "c1.json"
        write_video_run(path, run([track(1, range(40))], [clip(1, 0.0, 1.0, 0), clip(1, 1.0, 2.0, 0)], video="c1"))
        return [path]

    monkeypatch.setattr("service.commands.evaluate.run_videos", given)
    asked = ["evaluate", "tiny", "--negative", f"Fighting={tmp_path / 'calm'}:shop", "--output", str(tmp_path / "out")]
    assert main([*asked, "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert "Fighting: 1 videos without it, 0.00 hours" in printed and "shop (0.00 h)" in printed
    assert "events/Fighting/false_per_hour" in printed
    (curve,) = json.loads((tmp_path / "out" / "evaluation.json").read_text())["videos"]["curves"]
    assert curve["default"]["false_events"] == 1 and curve["points"][-1]["false_events"] == 0
    report = (tmp_path / "out" / "report.html").read_text()
    assert "Fighting: false events an hour, and what is found" in report and "the service" in report


def test_evaluate_says_in_one_line_what_is_wrong(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data = write_data(tmp_path / "data")
    for arguments, part in (
        (["evaluate", "tiny"], "nothing to evaluate on"),
        (["evaluate", "nobody", str(data)], "nobody"),
        (["evaluate", "tiny", "--negative", "Fighting"], "expected CLASS"),
        (["evaluate", "tiny", str(tmp_path)], "is no data set"),
        (["evaluate", "tiny", "--videos", str(tmp_path)], "no actions.csv or clips.csv"),
    ):
        assert main(arguments) == 1
        error = capsys.readouterr().err
        assert part in error and error.count("\n") == 1


@pytest.mark.exhaustive
def test_class_without_clips_is_told_and_is_no_part_of_the_figures(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    data, output = write_data(tmp_path / "data"), tmp_path / "out"
    manifest = data / "manifest.csv"
    kept = [line for line in manifest.read_text().splitlines(keepends=True) if f",{LABELS[2]}," not in line]
    manifest.write_text("".join(kept))
    options = ["--runtime", "openvino", "--quiet", "--classes", f"{LABELS[0]},{LABELS[2]}"]
    assert main(["evaluate", "tiny", str(data), "--output", str(output), *options]) == 0
    said = f"no clip of {LABELS[2]} in the split val: not in the macro F1"
    assert said in capsys.readouterr().out
    report = (output / "report.html").read_text()
    assert f"No clip of {LABELS[2]}: not in the macro F1" in report
    classes = json.loads((output / "evaluation.json").read_text())["clips"]["whole"]["metrics"]["classes"]
    assert [item["support"] for item in classes] == [2, 2, 0]
    other = shutil.copytree(model, model.with_name("another"))
    asked = ["compare", "tiny", str(other), str(data), "--output", str(output / "both"), *options]
    assert main(asked) == 0
    assert said in capsys.readouterr().out
    row = json.loads((output / "both" / "comparison.json").read_text())["tables"][0]["rows"][0]
    assert row["f1"][2] is None and None not in row["f1"][:2]
    assert "No clip of" in (output / "both" / "comparison.html").read_text()
    assert main(["evaluate", "tiny", str(data), "--split", "test", "--output", str(output), *options]) == 1
    assert "no labelled clip in this split" in capsys.readouterr().err
    assert main(["evaluate", "tiny", str(data), "--output", str(output), *options[:-1], LABELS[2]]) == 1
    assert f"no clip is labelled {LABELS[2]}" in capsys.readouterr().err
