"""``actoscope retrain``: what it prints, and what it tells the shell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.errors import DatasetError
from models.retraining import evidence
from service.cli import main
from service.commands.exit_status import EXIT_FAILED, EXIT_REFUSED
from service.commands.retrain import used_labels
from tests.models.retraining.world import ALIAS, YARD, Verdicts, make_network


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACTOSCOPE_WEIGHTS_DIR", str(tmp_path / "weights"))
    monkeypatch.setenv("ACTOSCOPE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(evidence, "_parity", lambda parent, challenger, asked, name: (None, challenger))  # converts
    return tmp_path


def test_retrain_says_what_was_made_and_why_it_was_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_network(place / "weights" / ALIAS)
    verdicts = Verdicts(place / "data" / "corrections")
    verdicts.many(YARD, 2)
    verdicts.add(YARD, "Walking", superseded_by="ver_1")
    (place / "rules.json").write_text(json.dumps({"items": [{"name": "Night", "actions": {"Falling": 0.5}}]}))
    assert main(["retrain", ALIAS, "--rules", "rules.json", "--quiet"]) == EXIT_REFUSED
    told = capsys.readouterr()
    assert "guard@2: learnt from 6 corrections, judged on 0 audit labels" in told.out
    assert "audit        refused  too few labels of the audit sample to tell: 40 more from Yard" in told.out
    assert "Falling is used by Night and is no label any more" in told.out
    assert "guard@2 is kept, and guard stays as it was: the gate refused it" in told.out
    assert "1: a later verdict took its place" in told.err
    assert sorted(path.name for path in (place / "weights").glob("[!.]*")) == [ALIAS, "guard@2"]
    card = json.loads((place / "weights" / "guard@2" / "card.json").read_text())
    assert card["command"] == "actoscope retrain guard --config quick"


def test_retrain_without_corrections_makes_nothing(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_network(place / "weights" / ALIAS)
    assert main(["retrain", ALIAS, "--quiet"]) == EXIT_FAILED
    assert "corrections has no correction to learn from" in capsys.readouterr().err
    assert [path.name for path in (place / "weights").iterdir()] == [ALIAS]


def test_used_labels_come_with_the_rules_that_name_them(tmp_path: Path) -> None:
    rules = [{"name": "A", "actions": {"Walking": 0.5}}, {"name": "B", "actions": {"Walking": 0.5, "Fighting": 0.8}}]
    rules.append({"name": "Nobody there", "actions": {}})
    for content in (rules, {"items": rules}):
        (tmp_path / "rules.json").write_text(json.dumps(content))
        assert used_labels(tmp_path / "rules.json") == {"Walking": ["A", "B"], "Fighting": ["B"]}
    assert used_labels(None) == {}
    (tmp_path / "rules.json").write_text('[{"name": "A"}]')
    with pytest.raises(DatasetError, match=r"rules\.json holds no rules"):
        used_labels(tmp_path / "rules.json")
