"""Corrections as the service keeps them become a data set; what may not be trained on does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.data.clip_file import read_clip, write_clip
from models.data.imports.corrections import CLIP_FILE, CorrectionFacts, read_facts, write_facts
from models.data.imports.corrections_dataset import make_dataset
from models.data.manifest import read_dataset
from models.errors import DatasetError
from pipeline.files import file_sha256


def correction(root: Path, number: int, **changes: Any) -> Path:
    folder = root / f"ver_{number}"
    write_clip(folder / CLIP_FILE, np.full((70, 32, 32, 3), 10 * number, np.uint8), 25.0)
    facts = {
        **{"id": f"ver_{number}", "event_id": f"evt_{number}", "stream_id": "str_1", "stream_name": "Gate"},
        **{"track_id": number, "group": f"str_1/evt_{number}", "start_s": 1.0, "end_s": 3.0, "label": "Walking"},
        **{"started_at": "2026-05-04T03:02:01.000Z", "at": "2026-05-04T04:00:00.000Z", "said": "Standing"},
        **{"verdict": "wrong", "by": "anna", "model": "surveillance", "model_version": "surveillance@2"},
        **{"split": "train", "near_threshold": False, "sha256": file_sha256(folder / CLIP_FILE)},
    }
    write_facts(folder, CorrectionFacts.model_validate({**facts, **changes}))
    return folder


def test_dataset_has_what_stands_in_its_groups_without_the_audit_sample_and_its_neighbours(tmp_path: Path):
    root = tmp_path / "corrections"
    correction(root, 1)
    correction(root, 2, label="Fighting", group="str_1/inc_1")
    correction(root, 3, superseded_by="ver_1")
    correction(root, 4, split="audit", group="str_2/inc_9")
    correction(root, 5, group="str_2/inc_9")
    (root / ".ver_6.part").mkdir()  # half written
    made = make_dataset(root, tmp_path / "set", description="cameras of a test")
    assert made.left_out == {"superseded": 1, "audit sample": 1, "beside one of the audit sample": 1}
    data = read_dataset(tmp_path / "set")
    assert data == made.dataset and data.labels == ("Fighting", "Walking")
    assert [(r.label, r.group, r.video, r.track_id, r.start_s, r.end_s) for r in data.records] == [
        ("Walking", "str_1/evt_1", "str_1", 1, 1.0, 3.0),
        ("Fighting", "str_1/inc_1", "str_1", 2, 1.0, 3.0),
    ]
    assert (data.info.input.height, data.info.input.frames) == (32, 64)
    assert read_clip(data.records[0].path).shape == (70, 32, 32, 3)


def test_classes_that_are_not_wanted_are_left_out_and_counted(tmp_path: Path):
    root = tmp_path / "corrections"
    correction(root, 1)
    correction(root, 2, label="Fighting")
    made = make_dataset(root, tmp_path / "set", ("Standing", "Walking"))
    assert made.dataset.labels == ("Standing", "Walking") and made.left_out == {"class Fighting": 1}


def test_damage_is_told_and_leaves_no_half_data_set(tmp_path: Path):
    root = tmp_path / "corrections"
    correction(root, 1)
    folder = correction(root, 2)
    (folder / CLIP_FILE).write_bytes(b"another")
    with pytest.raises(DatasetError, match=r"ver_2.*checksum"):
        make_dataset(root, tmp_path / "set")
    assert not (tmp_path / "set").exists()
    (folder / "label.json").write_text("{}")
    with pytest.raises(DatasetError, match=r"ver_2/label.json cannot be read: id: Field required"):
        make_dataset(root, tmp_path / "set")


def test_file_written_anew_says_its_times_as_before(tmp_path: Path):
    folder = correction(tmp_path, 1)
    before = (folder / "label.json").read_text()
    write_facts(folder, read_facts(folder))
    assert (folder / "label.json").read_text() == before
    assert read_facts(folder).began == 1_777_863_721.0


def test_nothing_to_train_on_and_targets_that_exist_are_refused(tmp_path: Path):
    root = tmp_path / "corrections"
    correction(root, 1, split="audit")
    with pytest.raises(DatasetError, match=r"no correction to train on \(audit sample: 1\)"):
        make_dataset(root, tmp_path / "set")
    (tmp_path / "set").mkdir()
    with pytest.raises(DatasetError, match="exists"):
        make_dataset(root, tmp_path / "set")
    with pytest.raises(DatasetError, match="no folder of corrections"):
        make_dataset(tmp_path / "nowhere", tmp_path / "other")
