"""The report: whole, self-contained, and shown by a real browser without asking the network for anything."""

import io
import json
import re
from pathlib import Path

import pytest
from PIL import Image, ImageSequence

from models.data.manifest import Split
from models.errors import EvaluationError
from models.evaluation.clips_and_videos import ClipsJob, Evaluation, about, answers, evaluate_clips
from models.evaluation.compare import Candidate, compare, write_comparison
from models.evaluation.judge import JudgeConfig
from models.evaluation.report import write_evaluation
from models.evaluation.videos.judgement import VideoJudgeConfig, judge_videos
from models.evaluation.worst_mistakes import gif, sheet_row
from tests.models.coloured import LABELS, ColourClassifier, coloured_clip, perfect, write_coloured
from tests.models.evaluation.videos.test_metrics import RUN, TRUTH
from tests.support.chromium import chromium

JUDGING = JudgeConfig(subsets=(("Red", "Green"),), samples=100)
SHOWN = [*perfect(each=4), ("Red", "Blue", Split.VAL), ("Green", "Blue", Split.VAL)]


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Evaluation]:
    """A report with clips, mistakes and videos → its folder, and what it is about."""
    folder = tmp_path_factory.mktemp("evaluation")
    dataset = write_coloured(folder / "data", SHOWN)
    job, classifier = ClipsJob(dataset, folder / "out", judging=JUDGING), ColourClassifier()
    videos = judge_videos([RUN], {"v1": TRUTH}, VideoJudgeConfig(subsets=(("Fighting", "Standing"),)))
    # Text from outside must come out as text.
    base = about(classifier.card, job).model_copy(update={"description": "<script>alert(1)</script>"})
    evaluation = base.model_copy(update={"clips": evaluate_clips(classifier, job), "videos": videos})
    write_evaluation(evaluation, folder / "out", dataset.folder)
    return folder / "out", evaluation


def test_report_asks_for_nothing_from_elsewhere(evaluated: tuple[Path, Evaluation]):
    text = (evaluated[0] / "report.html").read_text()
    assert set(re.findall(r'(?:src|href)="(.{5})', text)) == {"data:"}
    assert "<script" not in text and "&lt;script&gt;" in text
    assert "http:" not in text and "https:" not in text


def test_report_json_is_whole_and_knows_no_paths_of_the_machine(evaluated: tuple[Path, Evaluation]):
    folder, evaluation = evaluated
    text = (folder / "evaluation.json").read_text()
    assert str(folder.parent) not in text
    read = Evaluation.model_validate_json(text)
    assert read.clips is not None and evaluation.clips is not None
    assert read.clips.whole == evaluation.clips.whole and read.videos == evaluation.videos
    assert sorted(mistake.path for mistake in read.clips.worst) == ["clips/Green/clip-13.mp4", "clips/Red/clip-12.mp4"]


def test_report_shows_each_mistake_as_a_moving_picture(evaluated: tuple[Path, Evaluation]):
    folder, _ = evaluated
    names = sorted(path.name for path in (folder / "mistakes").iterdir())
    assert sorted(name.split("-", 1)[1] for name in names) == ["Green-as-Blue.gif", "Red-as-Blue.gif", "sheet.png"]
    for path in (folder / "mistakes").glob("*.gif"):
        with Image.open(path) as picture:
            # Pictures that are alike become one that stays longer.
            pauses_ms = [frame.info["duration"] for frame in ImageSequence.Iterator(picture)]
            assert sum(pauses_ms) == 640 and len(pauses_ms) > 4 and picture.info["loop"] == 0
    with Image.open(folder / "mistakes" / "contact-sheet.png") as sheet:
        assert sheet.size == (8 * 112, 2 * (112 + 22))


def test_report_without_mistakes_says_so_and_removes_old_pictures(tmp_path: Path):
    dataset = write_coloured(tmp_path / "data", perfect())
    job, classifier = ClipsJob(dataset, tmp_path / "out", judging=JudgeConfig(samples=20)), ColourClassifier()
    (tmp_path / "out" / "mistakes").mkdir(parents=True)
    (tmp_path / "out" / "mistakes" / "01-Red-as-Blue.gif").write_bytes(b"of an earlier run")
    evaluation = about(classifier.card, job).model_copy(update={"clips": evaluate_clips(classifier, job)})
    report = write_evaluation(evaluation, tmp_path / "out", dataset.folder)
    assert "every clip was called what it is" in report.read_text()
    assert list((tmp_path / "out" / "mistakes").iterdir()) == []


def test_sheet_row_and_gif_keep_the_colours():
    clip = coloured_clip(2)
    row = sheet_row(clip, "1. Blue called Red")
    assert row.shape == (134, 896, 3) and row[22:].mean(axis=(0, 1)).argmax() == 2
    with Image.open(io.BytesIO(gif(clip, 25.0))) as picture:
        assert picture.convert("RGB").resize((1, 1)).getpixel((0, 0))[2] > 100


def test_report_is_shown_by_a_browser_without_complaint(evaluated: tuple[Path, Evaluation]):
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        asked: list[str] = []
        complaints: list[str] = []
        page.on("request", lambda request: asked.append(request.url.split(":")[0]))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text))
        page.goto((evaluated[0] / "report.html").as_uri())
        broken = page.evaluate("Array.from(document.images).filter(i => !i.complete || !i.naturalWidth).length")
        assert (broken, complaints) == (0, [])
        assert page.evaluate("document.images.length") == 7  # three plots, reliability, two mistakes, the sheet
        assert set(asked) <= {"file", "data"}
        for text in ("Worst mistakes", "Whole videos of the split val", "macro F1 among Red, Green"):
            assert page.get_by_text(text).first.is_visible()


def predictions_of(folder: Path, classifier: ColourClassifier, name: str, temperature: float = 1.0) -> Candidate:
    from models.data.manifest import read_dataset

    job = ClipsJob(read_dataset(folder / "data"), folder / name)
    return Candidate(name, answers(classifier, job, Split.VAL), temperature)


class Blind(ColourClassifier):
    """Calls everything Blue."""

    def logits(self, clips):
        found = super().logits(clips)
        found[:, self.labels.index("Blue")] += 100
        return found


def test_compare_puts_models_side_by_side_with_paired_differences(tmp_path: Path):
    write_coloured(tmp_path / "data", SHOWN)
    good = predictions_of(tmp_path, ColourClassifier(), "good")
    same = predictions_of(tmp_path, ColourClassifier(labels=LABELS), "reordered", 3.0)
    blind = predictions_of(tmp_path, Blind(), "blind")
    found = compare([good, same, blind], "val", JUDGING, "data")
    first, second, third = found.tables[0].rows
    assert found.tables[0].labels == ("Blue", "Red", "Green") and found.tables[1].labels == ("Red", "Green")
    assert first.difference is None and first.best and second.best and not third.best
    assert second.difference is not None and second.f1 == first.f1
    assert (second.difference.value, second.difference.low, second.difference.high) == (0, 0, 0)
    assert third.difference is not None and third.difference.high < 0
    assert second.ece != first.ece, "each with its own temperature"
    report = write_comparison(found, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "comparison.json").read_text())["tables"][0]["rows"][2]["model"] == "blind"
    text = report.read_text()
    assert set(re.findall(r'(?:src|href)="(.{5})', text)) == {"data:"} and "reordered" in text


def test_compare_refuses_what_cannot_be_compared(tmp_path: Path):
    write_coloured(tmp_path / "data", SHOWN)
    good = predictions_of(tmp_path, ColourClassifier(), "good")
    with pytest.raises(EvaluationError, match="two models or more"):
        compare([good], "val", JUDGING)
    fewer = Candidate("fewer", good.predictions.only(("Red", "Green")))
    with pytest.raises(EvaluationError, match=r"two models are called good; fewer knows other .* fewer was asked"):
        compare([good, good, fewer], "val", JUDGING)
