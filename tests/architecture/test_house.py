"""docs/architecture.md draws the house as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture.folders import hall_modules, rooms
from tests.architecture.house_drawing import DrawingError, drawn
from tests.architecture.planted import plant
from tests.architecture.source_tree import SourceTree
from tests.support.places import REPOSITORY

PAGE = """# Title

## The house

One way only:

    service ──► models

```
pipeline/            pixels and people
  entities.py        Frame Track (frozen dataclasses)
models/
  classifier.py      clips → scores
  errors.py  ids.py  what is raised; what counts
  data/              from videos to batches, in
                     several steps
    tracks/          people found in videos
    layouts/         public data sets
  networks/          one a file: i3d.py and others
```

## What else

```
cellar/
```
"""


@pytest.fixture
def drawing() -> dict[str, str]:
    return drawn((REPOSITORY / "docs" / "architecture.md").read_text("utf-8"))


def missing(tree: SourceTree, drawing: dict[str, str]) -> set[str]:
    return (rooms(tree) | hall_modules(tree)) - set(drawing)


def invented(tree: SourceTree, drawing: dict[str, str]) -> set[str]:
    return {name for name in drawing if not (tree.root / name).exists()}


def test_drawing_names_every_room_and_every_module_in_the_halls(house: SourceTree, drawing: dict[str, str]) -> None:
    assert missing(house, drawing) == set(), "not drawn in docs/architecture.md"


def test_drawing_names_nothing_that_is_not_there(house: SourceTree, drawing: dict[str, str]) -> None:
    assert invented(house, drawing) == set(), "drawn in docs/architecture.md, and not there"


def test_drawing_says_what_each_is_for(drawing: dict[str, str]) -> None:
    assert [name for name, meaning in drawing.items() if not meaning] == []


def test_drawing_is_read_with_its_nested_rooms() -> None:
    assert drawn(PAGE) == {
        "pipeline/": "pixels and people",
        "pipeline/entities.py": "Frame Track (frozen dataclasses)",
        "models/": "",
        "models/classifier.py": "clips → scores",
        "models/errors.py": "what is raised; what counts",
        "models/ids.py": "what is raised; what counts",
        "models/data/": "from videos to batches, in several steps",
        "models/data/tracks/": "people found in videos",
        "models/data/layouts/": "public data sets",
        "models/networks/": "one a file: i3d.py and others",
    }


def test_missing_and_invented_rooms_are_found(tmp_path: Path) -> None:
    there = [
        "pipeline/entities.py",
        "models/classifier.py",
        "models/errors.py",
        "models/data/clips.py",
        "models/data/tracks/extract.py",
        "models/networks/i3d.py",
        "models/training/train.py",
        "service/app.py",
    ]
    tree = plant(tmp_path, dict.fromkeys(there, ""))
    assert missing(tree, drawn(PAGE)) == {"models/training/", "service/", "service/app.py"}
    assert invented(tree, drawn(PAGE)) == {"models/ids.py", "models/data/layouts/"}


@pytest.mark.parametrize(
    ("page", "match"),
    [
        ("# Title\n", "expected a fenced block below '## The house'"),
        ("## The house\n\n    models/  networks\n\n## Next\n\n```\nmodels/\n```\n", "expected a fenced block"),
        ("## The house\n```\nall that is here\nmodels/\n```\n", "expected a name, .* 'all that is here'"),
    ],
)
def test_page_without_a_readable_drawing_says_what_was_expected(page: str, match: str) -> None:
    with pytest.raises(DrawingError, match=match):
        drawn(page)
