"""No circle of imports, neither among modules nor among rooms; a lazy import is an import."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture.imports_in_circles import module_circles, room_circles
from tests.architecture.planted import plant
from tests.architecture.source_tree import NamedModule, SourceTree


def test_modules_import_each_other_in_no_circle(house: SourceTree) -> None:
    circles = module_circles(house)
    assert not circles, "\n\n".join(circles)


def test_rooms_import_each_other_in_no_circle(house: SourceTree) -> None:
    circles = room_circles(house)
    assert not circles, "\n\n".join(circles)


def test_modules_named_as_strings_are_there(house: SourceTree) -> None:
    missing = [item for item in house.named_modules if item.named not in house.modules]
    assert not missing, [f"{house.place(item.importer, item.line)}: {item.named}" for item in missing]


def test_circle_of_three_is_told_with_its_imports(tmp_path: Path) -> None:
    tree = plant(
        tmp_path,
        {
            "pipeline/one.py": "import os\nfrom pipeline.two import name\n",
            "pipeline/two.py": "import pipeline.three\n",
            "pipeline/three.py": "from pipeline import one\n",
            "pipeline/four.py": "from pipeline.one import name\n",
        },
    )
    assert module_circles(tree) == [
        "a circle of 3\n"
        "  pipeline/one.py:2 imports pipeline.two\n"
        "  pipeline/two.py:1 imports pipeline.three\n"
        "  pipeline/three.py:1 imports pipeline.one"
    ]


def test_lazy_import_closes_a_circle_and_one_for_types_does_not(tmp_path: Path) -> None:
    lazy = "def load():\n    if True:\n        from models.choice import auto\n"
    typing = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from models.trial import Trial\n"
    tree = plant(
        tmp_path,
        {
            "models/choice.py": "import models.load\nimport models.trial\n",
            "models/load.py": lazy,
            "models/trial.py": typing.replace("models.trial", "models.choice"),
        },
    )
    (circle,) = module_circles(tree)
    assert circle.splitlines()[1:] == [
        "  models/choice.py:1 imports models.load",
        "  models/load.py:3 imports models.choice (lazily, inside a function)",
    ]


def test_larger_knot_is_told_by_its_shortest_circle_and_all_its_modules(tmp_path: Path) -> None:
    arrows = {"a": "b", "b": "c", "c": "a d", "d": "c"}
    texts = {name: "".join(f"import models.{end}\n" for end in ends.split()) for name, ends in arrows.items()}
    tree = plant(tmp_path, {f"models/{name}.py": text for name, text in texts.items()})
    (circle,) = module_circles(tree)
    assert circle.splitlines()[0] == "a circle of 2, in a knot of 4 modules: models.a, models.b, models.c, models.d"
    assert circle.splitlines()[1:] == ["  models/c.py:2 imports models.d", "  models/d.py:1 imports models.c"]


def test_relative_imports_and_packages_are_followed(tmp_path: Path) -> None:
    tree = plant(
        tmp_path,
        {
            "models/layers/__init__.py": "from .unit import Unit\n",
            "models/layers/unit.py": "from . import fold\nfrom ..errors import ModelsError\n",
            "models/layers/fold.py": "from models.layers import Unit\n",
            "models/errors.py": "",
        },
    )
    assert [i.imported for i in tree.own_imports] == [
        "models.layers.unit",
        "models.layers",
        "models.layers.fold",
        "models.errors",
    ]
    (circle,) = module_circles(tree)
    assert circle.startswith("a circle of 3\n")


def test_rooms_in_a_circle_are_told_though_their_modules_are_in_none(tmp_path: Path) -> None:
    tree = plant(
        tmp_path,
        {
            "models/data/split.py": "from models.training.config import Config\n",
            "models/training/config.py": "",
            "models/training/train.py": "def train():\n    from models.data.clips import read\n",
            "models/data/clips.py": "",
            "service/app.py": "from models.training.train import train\n",
        },
    )
    assert module_circles(tree) == []
    assert room_circles(tree) == [
        "a knot of 2 rooms: models/data, models/training\n"
        "  models/data → models/training\n"
        "    models/data/split.py:1 imports models.training.config\n"
        "  models/training → models/data\n"
        "    models/training/train.py:2 imports models.data.clips (lazily, inside a function)"
    ]


def test_sub_room_is_a_room_of_its_own_and_a_module_in_the_hall_too(tmp_path: Path) -> None:
    down = {
        "models/data/manifest.py": "",
        "models/data/tracks/extract.py": "import models.data.manifest\n",
        "service/app.py": "import service.routes.streams\n",
        "service/routes/streams.py": "import service.hub\n",
        "service/hub.py": "",
    }
    assert room_circles(plant(tmp_path / "down", down)) == []
    up = plant(tmp_path / "up", {**down, "models/data/stats.py": "import models.data.tracks.extract\n"})
    (circle,) = room_circles(up)
    assert circle.startswith("a knot of 2 rooms: models/data, models/data/tracks\n")


@pytest.mark.parametrize("value", ["models.networks.i3d:make_i3d", "models.networks.i3d"])
def test_strings_that_name_modules_are_reported_and_are_no_imports(tmp_path: Path, value: str) -> None:
    tree = plant(tmp_path, {"models/registry.py": f'"""Not models.networks.i3d."""\nTABLE = {{"i3d": "{value}"}}\n'})
    assert tree.named_modules == (NamedModule("models.registry", "models.networks.i3d", 2),)
    assert tree.imports == ()
