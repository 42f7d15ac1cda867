from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from models.data.manifest import read_dataset
from models.errors import DatasetError
from tests.service.commands.command_line import typed


def test_balance_and_back(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed("dataset", "split", data, "--train", 1, "--val", 0, "--test", 0, "--no-duplicates")
    before = (data / "manifest.csv").read_text()
    assert typed("dataset", "balance", data, "--target", 9) == 0
    assert Counter(record.label for record in read_dataset(data).records) == {"run": 9, "walk": 9}
    with pytest.raises(DatasetError, match="--undo"):
        typed("dataset", "split", data)
    assert typed("dataset", "balance", data, "--target", "max", "--only-under") == 0
    assert typed("dataset", "balance", data, "--undo") == 0
    assert (data / "manifest.csv").read_text() == before


@pytest.mark.parametrize("target", ["0", "many", "-3"])
def test_balance_senseless_target_is_a_usage_error(data: Path, target: str) -> None:
    with pytest.raises(SystemExit) as caught:
        typed("dataset", "balance", data, "--target", target)
    assert caught.value.code == 2
