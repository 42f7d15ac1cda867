from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.labels import COLUMNS, agreed, agreement, kappa, read_passes, table, write_actions
from models.data.manifest import Split
from models.data.tracks.labels_csv import LabelRow, read_labels


def passes(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    """A row a pair of labels, each in a video and a source group of its own."""
    names = {"track_id": "3", "start_frame": "1", "end_frame": "20", "split": "train"}
    return [
        {**names, "clip": f"c{number}", "source_group": str(number), "first": first, "second": second}
        for number, (first, second) in enumerate(pairs)
    ]


def test_kappa_of_the_textbook() -> None:
    """Two people, yes or no on 50 cases: 20 both yes, 15 both no, 5 and 10 differ: 0.7 agree, 0.5 by chance."""
    counts = np.array([[[20, 30, 25], [15, 20, 25]]], float)  # both, second, first
    assert kappa(counts) == pytest.approx([0.4])


def test_kappa_of_one_label_for_everything_is_nothing() -> None:
    assert kappa(np.array([[[5, 5, 5], [0, 0, 0]]], float)) == pytest.approx([0])


def test_agreement_by_class_counts_both_passes() -> None:
    rows = passes(*[("Standing", "Standing")] * 6, *[("Walking", "Standing")] * 2, *[("Walking", "Walking")] * 2)
    found = agreement(rows)
    assert (found.tracks, found.share.value) == (10, pytest.approx(0.8))
    span, first, second = found.classes["Walking"]
    assert (first, second, span.value) == (4, 2, pytest.approx(2 * 2 / (4 + 2)))
    assert 0 <= span.low < span.value < span.high <= 1
    assert found.share.groups == 10
    assert "| Walking | 0.67 [" in table(found) and "| 4 | 2 |" in table(found)


def test_agreement_of_the_clear_leaves_out_what_one_pass_could_not_tell() -> None:
    rows = passes(("Standing", "Standing"), ("Unclear", "Standing"), ("Walking", "Unclear"), ("Walking", "Fighting"))
    assert agreement(rows, ("Fighting", "Standing", "Walking", "Other")).tracks == 2


def test_what_both_say_becomes_a_table_of_actions(tmp_path: Path) -> None:
    rows = passes(("Standing", "Standing"), ("Unclear", "Unclear"), ("Walking", "Standing"), ("Other", "Other"))
    write_actions(tmp_path / "relabelled.csv", agreed(rows))
    assert read_labels(tmp_path / "relabelled.csv") == (
        LabelRow("c0", 3, 1, 20, "Standing", "0", Split.TRAIN),
        LabelRow("c3", 3, 1, 20, "Other", "3", Split.TRAIN),
    )


def test_passes_with_other_columns_or_labels_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "passes.csv"
    file.write_text("clip,first,second\n")
    with pytest.raises(ValueError, match="expected the columns clip, track_id"):
        read_passes(file)
    file.write_text(f"{','.join(COLUMNS)}\nc,3,1,20,g,train,Standing,Sleeping\n")
    with pytest.raises(ValueError, match=r"c, track 3: expected .*Sleeping"):
        read_passes(file)
