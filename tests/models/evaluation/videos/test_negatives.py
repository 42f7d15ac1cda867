"""Videos that do not show a class, named on a command line."""

from pathlib import Path

import pytest

from models.errors import EvaluationError
from models.evaluation.videos.negatives import Negatives, find_negatives, parse_negatives
from models.evaluation.videos.truth import Segment
from tests.models.scripted_run import truth


def test_parse_negatives_takes_classes_place_and_kind(tmp_path: Path):
    (tmp_path / "shop:1").mkdir()
    assert parse_negatives(f"Fighting={tmp_path}:calm") == Negatives(("Fighting",), tmp_path, "calm")
    assert parse_negatives(f"Fighting, Falling={tmp_path}").labels == ("Fighting", "Falling")
    assert parse_negatives(f"Fighting={tmp_path}").kind == tmp_path.name
    assert parse_negatives(f"Fighting={tmp_path}/shop:1").folder == tmp_path / "shop:1", "a colon of the path"


@pytest.mark.parametrize("text", ["Fighting", "=x", "Fighting=", "Fighting=/nowhere:calm"])
def test_parse_negatives_says_what_was_expected(text: str):
    with pytest.raises(EvaluationError, match="expected CLASS"):
        parse_negatives(text)


def test_find_negatives_joins_classes_and_keeps_the_group_of_annotated_videos(tmp_path: Path):
    for name in ("a/v1.mp4", "a/deep/v2.avi", "a/notes.txt", "v3.264"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    given = [
        Negatives(("Fighting",), tmp_path / "a", "calm"),
        Negatives(("Walking",), tmp_path / "a" / "v1.mp4", "calm"),
        Negatives(("Fighting",), tmp_path / "v3.264", "street"),
    ]
    found, files = find_negatives(given, {"v1": truth([], {}, group="g7")})
    assert [(each.video, sorted(each.labels), each.kind, each.group) for each in found.values()] == [
        ("v2", ["Fighting"], "calm", "v2"),
        ("v1", ["Fighting", "Walking"], "calm", "g7"),
        ("v3", ["Fighting"], "street", "v3"),
    ]
    assert files["v2"] == tmp_path / "a" / "deep" / "v2.avi"


def test_find_negatives_names_all_that_is_wrong(tmp_path: Path):
    for name in ("a", "b", "empty"):
        (tmp_path / name).mkdir()
    for name in ("a/v1.mp4", "b/v1.mp4", "b/v2.mp4"):
        (tmp_path / name).touch()
    given = [Negatives(("Fighting",), tmp_path / name, name) for name in ("a", "b", "empty")]
    fight = truth([Segment(1, 1, 5, "fighting")], {1: (range(1, 6), 10.0)}, "v2")
    with pytest.raises(EvaluationError, match=r"no video in .*empty; several videos are called v1; v2 shows Fighting"):
        find_negatives(given, {"v2": fight})
