"""The conversion that ships beside the person detector: written into a folder that has none, named in its card."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from models.errors import CardError
from models.person_training import conversion
from models.person_training.card import read_person_card, write_person_card
from pipeline.detector import shipped_conversion
from tests.support.places import REPOSITORY

SHIPPED = REPOSITORY / "weights" / "person"


def test_conversion_of_a_folder_without_card_is_refused(tmp_path: Path) -> None:
    shutil.copyfile(SHIPPED / "person.pt", tmp_path / "person.pt")
    with pytest.raises(CardError, match="cannot be read"):
        conversion.main(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["person.pt"]


@pytest.mark.exhaustive
@pytest.mark.slow
def test_conversion_is_made_from_the_network_alone_and_named_in_the_card(tmp_path: Path) -> None:
    shutil.copyfile(SHIPPED / "person.pt", tmp_path / "person.pt")
    card = read_person_card(SHIPPED)
    before = card.model_copy(update={"sha256": {"person.pt": card.sha256["person.pt"]}})
    write_person_card(before, tmp_path)
    assert shipped_conversion(tmp_path / "person.pt") is None
    conversion.main(tmp_path)
    assert shipped_conversion(tmp_path / "person.pt") == tmp_path / "person.xml"
    assert (tmp_path / "person.bin").stat().st_size == (SHIPPED / "person.bin").stat().st_size
    after = read_person_card(tmp_path)
    assert after.model_copy(update={"sha256": before.sha256}) == before
