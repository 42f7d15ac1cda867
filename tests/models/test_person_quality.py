"""Quality floors of ``weights/person`` on real pictures: PETS09-S2L1 and twelve pictures of MOT17.

The floors in ``benchmarks/floors.json`` are the figures of its card less the noise of other processors' arithmetic.
"""

from __future__ import annotations

import json

import pytest

from models.person_training.card import PersonCard, read_person_card
from models.person_training.evaluation import match
from models.person_training.making import LARGEST_BYTES, final_pictures
from pipeline.detector import DetectorConfig, PersonDetector, resolve_person_weights, shipped_conversion
from tests.support.places import REPOSITORY, SHARED

FOLDER = REPOSITORY / "weights" / "person"
FLOORS = json.loads((REPOSITORY / "benchmarks" / "floors.json").read_text()).get("person", {})
PICTURES = ("MOT17-mini", "PETS09-S2L1")
PEOPLE_SHORT = 1  # of the 467 in PETS09-S2L1, as the card says openly; nobody on MOT17-mini


@pytest.fixture(scope="module")
def card() -> PersonCard:
    if not FOLDER.is_dir():
        pytest.skip("weights/person is not here: `actoscope train-person` makes it")
    return read_person_card(FOLDER)


@pytest.fixture(scope="module")
def detector(card: PersonCard, tmp_path_factory: pytest.TempPathFactory) -> PersonDetector:
    config = DetectorConfig(
        confidence=0.01,
        max_detections=300,
        cache_dir=tmp_path_factory.mktemp("cache"),
        weights_dir=FOLDER.parent,
        device="cpu",
    )
    return PersonDetector.load(None, config)


def test_shipped_network_is_the_default_small_and_as_its_card_says(card: PersonCard) -> None:
    file = resolve_person_weights(REPOSITORY / "weights")
    assert file == FOLDER / "person.pt"
    assert (FOLDER / "person.pt").stat().st_size <= LARGEST_BYTES
    assert shipped_conversion(FOLDER / "person.pt") == FOLDER / "person.xml"  # nothing is converted at a first start
    assert set(card.metrics) == set(card.start_metrics) == set(FLOORS) == set(PICTURES)


@pytest.mark.parametrize("pictures", PICTURES)
def test_shipped_network_matches_its_start_but_for_one_person_by_its_card(card: PersonCard, pictures: str) -> None:
    now, start = card.metrics[pictures], card.start_metrics[pictures]
    assert round((start.recall - now.recall) * start.people) <= PEOPLE_SHORT
    assert now.precision >= start.precision
    assert (now.confidence, now.image_size, now.people) == (start.confidence, start.image_size, start.people)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("pictures", PICTURES)
def test_shipped_network_stays_above_the_floors(detector: PersonDetector, card: PersonCard, pictures: str) -> None:
    given = final_pictures(SHARED / "data")
    if pictures not in given:
        pytest.skip(f"{pictures} is not in ../shared/data")
    reached = match(given[pictures](), lambda image: detector.detect([image])[0]).at(card.metrics[pictures].confidence)
    floor = FLOORS[pictures]
    assert reached.people == card.metrics[pictures].people
    assert reached.recall >= floor["recall"]
    assert reached.precision >= floor["precision"]
    assert reached.average_precision >= floor["average_precision"]
