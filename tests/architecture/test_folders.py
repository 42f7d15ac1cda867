"""A folder that one can take in at a glance."""

from __future__ import annotations

from pathlib import Path

from tests.architecture.folders import module_counts
from tests.architecture.planted import plant
from tests.architecture.source_tree import SourceTree

MOST = 25  # modules in one folder


def test_no_folder_is_crowded(house: SourceTree) -> None:
    crowded = {folder: count for folder, count in module_counts(house).items() if count > MOST}
    assert not crowded, f"more than {MOST} modules: {crowded}"


def test_modules_are_counted_folder_by_folder(tmp_path: Path) -> None:
    names = ["service/app.py", "service/routes/streams.py", "service/routes/events.py", "models/layers/__init__.py"]
    assert module_counts(plant(tmp_path, dict.fromkeys(names, ""))) == {"service": 1, "service/routes": 2}


def test_folder_that_is_no_package_counts_for_nothing(tmp_path: Path) -> None:
    plant(tmp_path, {"service/storage/migrations/env.py": ""})
    (tmp_path / "service" / "storage" / "migrations" / "__init__.py").unlink()
    assert module_counts(SourceTree(tmp_path)) == {}
