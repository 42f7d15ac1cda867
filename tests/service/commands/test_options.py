from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from models.errors import CardError
from service.commands.options import model_folder, names, positive
from service.settings import Settings


def test_positive_takes_whole_numbers_from_one_on() -> None:
    assert positive("12") == 12
    for text in ("0", "-3", "1.5", "many", ""):
        with pytest.raises(argparse.ArgumentTypeError, match=f"at least 1, got '{text}'"):
            positive(text)


def test_names_are_parted_by_commas_and_bare() -> None:
    assert names(" push up, squat ,,") == ("push up", "squat")


def test_model_is_a_name_or_a_folder_as_a_shell_completes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(weights_dir=tmp_path / "weights")
    (tmp_path / "weights" / "mine").mkdir(parents=True)
    (tmp_path / "weights" / "mine" / "card.json").touch()
    monkeypatch.chdir(tmp_path)
    wanted = (tmp_path / "weights" / "mine").resolve()
    for name in ("mine", "weights/mine", "weights/mine/", "./weights/mine", str(wanted)):
        assert model_folder(settings, name) == wanted
    assert model_folder(settings, "other") == (tmp_path / "weights").resolve() / "other"  # whose card says more
    for name in ("", " ", "\u00a0\t"):
        with pytest.raises(CardError, match="expected the name of a model"):
            model_folder(settings, name)
    with pytest.raises(CardError, match=r"weights/other/card\.json does not exist"):
        model_folder(settings, "weights/other")
