"""Near-duplicates across splits, on real encoded clips."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.data import near_duplicates as module
from models.data.clip_file import read_clip, write_clip
from models.data.manifest import Split
from models.data.near_duplicates import HashConfig, hash_clip, near_duplicates, write_pairs
from models.errors import DatasetError
from tests.models.data.trees import moving, write_data

TRAIN, VAL, TEST = Split.TRAIN, Split.VAL, Split.TEST


def names(pairs: list[module.NearDuplicate]) -> list[tuple[str, str]]:
    return [(pair.first.path.stem, pair.second.path.stem) for pair in pairs]


def find(
    folder: Path, clips: dict[str, tuple[str, str, Split, int]], across_splits: bool = True
) -> list[module.NearDuplicate]:
    data = write_data(folder, clips)
    return near_duplicates(data.records, folder, HashConfig(), lambda *_: None, across_splits)


def test_near_duplicates_same_scene_in_two_splits_is_told(tmp_path: Path) -> None:
    clips = {
        "a1": ("a", "g1", TRAIN, 1),
        "a2": ("a", "g1", TRAIN, 2),
        "a3": ("a", "g2", TRAIN, 3),
        "b1": ("b", "g3", VAL, 1),
        "b2": ("b", "g4", VAL, 4),
        "b3": ("b", "g5", TEST, 3),
        "b4": ("b", "g5", TEST, 5),
    }
    pairs = find(tmp_path, clips)
    assert names(pairs) == [("a1", "b1"), ("a3", "b3")]
    assert all(pair.share == 1.0 and pair.bits <= 2 for pair in pairs)


def test_near_duplicates_survive_scaling_compression_and_a_shift_in_time(tmp_path: Path) -> None:
    data = write_data(tmp_path, {"a1": ("a", "g1", TRAIN, 1), "b1": ("b", "g3", VAL, 9)}, frames=40)
    pictures = moving(1, 60, 32, 32)[12:52]
    grainy = pictures + np.random.default_rng(0).normal(0, 8, pictures.shape)
    larger = [cv2.resize(np.clip(picture, 0, 255).astype(np.uint8), (48, 48)) for picture in grainy]
    wide = moving(1, 40, 32, 32)
    write_clip(data.records[0].path, wide, 25.0)
    write_clip(data.records[1].path, np.stack([cv2.resize(picture, (48, 48)) for picture in wide[8:]]), 12.0)
    assert names(near_duplicates(data.records, tmp_path, HashConfig(), lambda *_: None)) == [("a1", "b1")]
    write_clip(data.records[1].path, np.stack(larger), 25.0)
    hashes = [hash_clip(moving(1, 60, 32, 32)[12:52], 5), hash_clip(np.stack(larger), 5)]
    assert max(int(bits) for bits in np.bitwise_count(hashes[0] ^ hashes[1])) <= 8


def test_near_duplicates_between_groups_needs_no_splits(tmp_path: Path) -> None:
    clips = {
        "a1": ("a", "g1", Split.NONE, 1),
        "a2": ("a", "g1", Split.NONE, 1),
        "a3": ("a", "g2", TRAIN, 1),
        "a4": ("a", "g3", TRAIN, 2),
    }
    assert names(find(tmp_path, clips, across_splits=False)) == [("a1", "a3"), ("a2", "a3")]
    assert names(find(tmp_path, clips)) == []


def test_near_duplicates_flat_pictures_are_no_likeness(tmp_path: Path) -> None:
    data = write_data(tmp_path, {"a1": ("a", "g1", TRAIN, 1), "a2": ("a", "g2", VAL, 2)})
    for record in data.records:
        write_clip(record.path, np.full((8, 32, 32, 3), 20, np.uint8), 25.0)
    assert near_duplicates(data.records, tmp_path, HashConfig(), lambda *_: None) == []
    assert len(hash_clip(np.full((8, 32, 32, 3), 20, np.uint8), 5)) == 0


def test_near_duplicates_share_of_pictures_counts(tmp_path: Path) -> None:
    data = write_data(tmp_path, {"a1": ("a", "g1", TRAIN, 1), "a2": ("a", "g2", VAL, 2)}, frames=10)
    half = np.concatenate([moving(1, 10, 32, 32)[:4], moving(2, 10, 32, 32)[4:]])
    write_clip(data.records[1].path, half, 25.0)
    found = [
        near_duplicates(data.records, tmp_path, HashConfig(min_share=share), lambda *_: None) for share in (0.3, 0.9)
    ]
    # The two like pictures of a2 resemble all five of the slowly moving a1: the larger share counts.
    assert [len(pairs) for pairs in found] == [1, int(found[0][0].share >= 0.9)]


def test_near_duplicates_second_run_hashes_only_what_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_data(tmp_path, {"a1": ("a", "g1", TRAIN, 1), "a2": ("a", "g2", VAL, 2), "a3": ("a", "g3", VAL, 1)})
    first = near_duplicates(data.records, tmp_path, HashConfig(), lambda *_: None)
    read: list[str] = []

    def noted(path: Path) -> np.ndarray:
        read.append(path.stem)
        return read_clip(path)

    monkeypatch.setattr(module, "read_clip", noted)
    seen: list[tuple[int, int]] = []
    again = near_duplicates(data.records, tmp_path, HashConfig(), lambda *step: seen.append(step))
    assert (read, again) == ([], first)
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]
    write_clip(data.records[1].path, moving(7, 9, 32, 32), 25.0)
    near_duplicates(data.records, tmp_path, HashConfig(), lambda *_: None)
    assert read == ["a2"]
    near_duplicates(data.records, tmp_path, HashConfig(pictures=3), lambda *_: None)
    assert len(read) == 4


def test_near_duplicates_unreadable_clip_is_named(tmp_path: Path) -> None:
    data = write_data(tmp_path, {"a1": ("a", "g1", TRAIN, 1), "a2": ("a", "g2", VAL, 2)})
    data.records[1].path.unlink()
    with pytest.raises(DatasetError, match=r"a2\.mp4"):
        near_duplicates(data.records, tmp_path, HashConfig(), lambda *_: None)


def test_near_duplicates_balanced_manifest_tells_a_pair_once(tmp_path: Path) -> None:
    data = write_data(tmp_path, {"a1": ("a", "g1", TRAIN, 1), "a2": ("a", "g2", VAL, 1)})
    doubled = [*data.records, replace(data.records[0])]
    assert len(near_duplicates(doubled, tmp_path, HashConfig(), lambda *_: None)) == 1


def test_write_pairs_has_a_row_a_pair(tmp_path: Path) -> None:
    pairs = find(tmp_path, {"a1": ("a", "g1", TRAIN, 1), "b1": ("b", "g3", VAL, 1)})
    assert write_pairs(tmp_path, pairs).read_text().splitlines() == [
        "split,group,path,other_split,other_group,other_path,share,bits",
        f"train,g1,clips/a/a1.mp4,val,g3,clips/b/b1.mp4,1.00,{pairs[0].bits}",
    ]


@pytest.mark.parametrize("options", [{"pictures": 0}, {"max_bits": 32}, {"min_share": 0.0}])
def test_hash_config_senseless_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(DatasetError, match="expected"):
        HashConfig(**options)  # type: ignore[arg-type]
