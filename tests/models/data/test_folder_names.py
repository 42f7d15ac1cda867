from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data.class_names import same_class, tidy
from models.data.folder_names import FolderNames
from models.data.source_video import folder_name
from models.data.tracks.track_folders import safe_name
from models.errors import DatasetError


def test_names_that_meet_in_one_folder_get_one_each_and_come_back(tmp_path: Path) -> None:
    names = ["Kick (left)", "Kick left", "🥊", "🤸", "CON", "a/b", "a\\b", "Schlägerei", "x" * 400, "x" * 401]
    folders = FolderNames(tmp_path, safe_name)
    found = [folders.folder_of(name) for name in names]
    assert len({folder.casefold() for folder in found}) == len(names)
    folders.save()
    for folder in found:
        (tmp_path / folder).mkdir()  # this file system takes them
    again = FolderNames(tmp_path, safe_name)
    assert [again.name_of(folder) for folder in found] == names
    assert [again.folder_of(name) for name in reversed(names)] == found[::-1]


def test_folder_made_by_hand_stands_for_the_class_that_it_can_mean(tmp_path: Path) -> None:
    folders = FolderNames(tmp_path, safe_name)
    assert folders.name_of("Walking_fast", ["Walking fast", "Standing"]) == "Walking fast"
    assert folders.name_of("standing", ["Walking fast", "Standing"]) == "Standing"
    assert folders.name_of("Running", ["Standing"]) == "Running"
    assert folders.name_of("Kick left", ["Kick (left)", "Kick left"]) == "Kick left"
    with pytest.raises(DatasetError, match=r"may stand for 'Kick .left.' or 'Kick left': say which"):
        folders.name_of("Kick_left", ["Kick (left)", "Kick left"])


def test_folders_in_use_before_keep_their_class(tmp_path: Path) -> None:
    folders = FolderNames(tmp_path, safe_name, {"Kick_left": "Kick left"})
    assert (folders.folder_of("Kick (left)"), folders.folder_of("Kick left")) == ("Kick_left-2", "Kick_left")


@pytest.mark.parametrize("text", ["[]", '{"a": 1}', '{"a": "x", "b": "x"}', "{", '{"a": ""}', '"x"'])
def test_damaged_file_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "folders.json").write_text(text)
    with pytest.raises(DatasetError, match=r"folders\.json"):
        FolderNames(tmp_path, safe_name)


def test_nothing_is_written_where_there_is_nothing_to_say(tmp_path: Path) -> None:
    FolderNames(tmp_path / "none", safe_name).save()
    assert not (tmp_path / "none").exists()


LABELS = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=20).map(tidy).filter(bool)


@given(st.lists(LABELS, max_size=20, unique_by=same_class), st.sampled_from([safe_name, folder_name]))
def test_any_names_and_folders_are_one_to_one(names: list[str], plain: object) -> None:
    assert callable(plain)
    with tempfile.TemporaryDirectory() as folder:
        folders = FolderNames(Path(folder), plain)
        found = [folders.folder_of(name) for name in names]
        folders.save()
        for each in found:
            (Path(folder) / each).mkdir()
            assert Path(each).name == each
        again = FolderNames(Path(folder), plain)
        assert [again.name_of(each) for each in found] == names
        if names:
            assert len(json.loads((Path(folder) / "folders.json").read_text("utf-8"))) == len(names)


def test_folder_in_which_classes_met_belongs_to_none(tmp_path: Path) -> None:
    clips = [("_", "🥊"), ("_", "🤸"), ("Run", "Run"), ("Run", "Run")]
    folders = FolderNames.with_clips(tmp_path, folder_name, clips)
    assert [folders.folder_of(name) for name in ("🥊", "🤸", "Run")] == ["_-2", "_-3", "Run"]
    folders.save()
    assert json.loads((tmp_path / "folders.json").read_text("utf-8")) == {"Run": "Run", "_-2": "🥊", "_-3": "🤸"}
