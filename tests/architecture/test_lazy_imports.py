"""An import inside a function is a decision: each says why, and they are few."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture.lazy_imports import lazy_imports
from tests.architecture.planted import plant
from tests.architecture.source_tree import SourceTree

FEWER_THAN = 41  # in all three packages


def test_every_lazy_import_says_why(house: SourceTree) -> None:
    silent = [item for item in lazy_imports(house) if not item.reason]
    told = "\n".join(f"{item.place}: {item.statement}" for item in silent)
    assert not silent, f"{len(silent)} without `# noqa: PLC0415 - why`, two words or more:\n{told}"


def test_lazy_imports_are_few(house: SourceTree) -> None:
    found = lazy_imports(house)
    told = "\n".join(f"{item.place}: {item.statement}" for item in found)
    assert len(found) < FEWER_THAN, f"{len(found)} lazy imports, expected fewer than {FEWER_THAN}:\n{told}"


@pytest.mark.parametrize(
    ("mark", "reason"),
    [
        ("", ""),
        ("  # noqa: PLC0415", ""),
        ("  # noqa: PLC0415 - needed", ""),
        ("  # takes seconds to load", ""),
        ("  # noqa: F401 - takes seconds", ""),
        ("  # noqa: PLC0415 - takes seconds", "takes seconds"),
        ("  # noqa: PLC0415 -- takes seconds", "takes seconds"),
        ("  # noqa: PLC0415  # takes seconds", "takes seconds"),
        ("  # noqa: F401, PLC0415 - registers layers", "registers layers"),
    ],
)
def test_planted_lazy_import_is_found_with_its_reason(tmp_path: Path, mark: str, reason: str) -> None:
    text = f"import os\n\n\ndef load():\n    import keras{mark}\n"
    (found,) = lazy_imports(plant(tmp_path, {"models/load.py": text}))
    assert (found.place, found.statement, found.reason) == ("models/load.py:5", "import keras", reason)


def test_imports_at_load_and_for_types_are_not_lazy(tmp_path: Path) -> None:
    types = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import keras\n"
    text = f"{types}try:\n    import av\nexcept ImportError:\n    av = None\n"
    assert lazy_imports(plant(tmp_path, {"models/load.py": text})) == []


def test_lazy_import_of_several_names_and_lines_counts_once(tmp_path: Path) -> None:
    text = "def load():\n    from os import (  # noqa: PLC0415 - as an example\n        path,\n        sep,\n    )\n"
    (found,) = lazy_imports(plant(tmp_path, {"service/load.py": text}))
    assert found.reason == "as an example"
