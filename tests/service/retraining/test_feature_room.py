"""Features of trainings within their bound."""

from __future__ import annotations

import os
from pathlib import Path

from service.retraining.feature_room import keep_within


def test_oldest_features_go_until_the_rest_fits(tmp_path: Path) -> None:
    for number, name in enumerate(("a/1.npy", "b/2.npy", "a/3.npy")):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(bytes(10))
        os.utime(file, (1000 + number, 1000 + number))
    assert keep_within(tmp_path, 30) == 0
    assert keep_within(tmp_path, 25) == 10
    assert sorted(path.name for path in tmp_path.rglob("*.npy")) == ["2.npy", "3.npy"]
    assert keep_within(tmp_path, 0) == 20
    assert keep_within(tmp_path / "none", 0) == 0
