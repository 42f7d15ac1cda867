"""What README, docs and docstrings name is there."""

from __future__ import annotations

from pathlib import Path

from tests.architecture.papers import Mention, stale_mentions
from tests.architecture.planted import plant
from tests.architecture.source_tree import SourceTree


def test_papers_name_files_and_modules_that_are_there(house: SourceTree) -> None:
    stale = stale_mentions(house)
    assert not stale, "\n".join(f"{mention.place} names {mention.name}" for mention in stale)


def test_stale_names_are_found_and_others_are_not(tmp_path: Path) -> None:
    tree = plant(
        tmp_path,
        {
            "models/training/config.py": "import keras\n\nRATE = 0.1\n\n\nclass TrainConfig:\n    epochs = 3\n",
            "models/old.py": '"""See models/train_config.py and ``models.train.fit``."""\nimport models.gone\n',
        },
    )
    (tmp_path / "README.md").write_text(
        "`models.training.config.TrainConfig`, models.training.config.RATE and `models.training`.\n"
        "`models.train_config`, `models.training.config.load`, `models.training.loop.run`, service/app.py\n"
        "https://host.example/models/gone.py, benchmarks/NAME.py, `pipeline.json`, tests/test_gone.py.\n"
        "`models/training/` and `models/layers/`\n"
    )
    (tmp_path / "CHANGELOG.md").write_text("models/before.py is gone\n")
    (tmp_path / "Makefile").write_text("bench:\n\tpython benchmarks/gone.py\n")
    assert stale_mentions(tree) == [
        Mention("README.md:2", "service/app.py"),
        Mention("README.md:2", "models.train_config"),
        Mention("README.md:2", "models.training.config.load"),
        Mention("README.md:2", "models.training.loop.run"),
        Mention("README.md:3", "tests/test_gone.py"),
        Mention("README.md:4", "models/layers/"),
        Mention("models/old.py:1", "models/train_config.py"),
        Mention("models/old.py:1", "models.train.fit"),
        Mention("Makefile:2", "benchmarks/gone.py"),
    ]
