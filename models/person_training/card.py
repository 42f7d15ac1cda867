"""What ``weights/person`` says about itself: ``card.json`` beside the one ``.pt`` in it.

Its own form: a detector has no labels file, no clips and no temperature as the classifiers of ``models.weights.cards``
have.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.weights.cards import CARD_FILE, DETECTOR_KIND, check_networks, parsed
from pipeline.files import write_atomically

NETWORK_FILE = "person.pt"
Share = Annotated[float, Field(ge=0, le=1)]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PersonFigures(_Value):
    """Recall and precision at IoU 0.5 of detections from ``confidence`` on, average precision over all, of one network
    on one set of pictures with ``people`` annotated boxes, at input size ``image_size``.
    """

    image_size: int = Field(ge=64)
    confidence: Share
    recall: Share
    precision: Share
    average_precision: Share
    people: int = Field(ge=1)


class PersonCard(_Value):
    """The facts about one person detector. ``metrics`` and ``start_metrics``: the same pictures, before and after."""

    format_version: Literal[1] = 1
    name: str = Field(min_length=1)
    kind: Literal["person_detector"] = DETECTOR_KIND
    architecture: str = Field(min_length=1)
    classes: tuple[str, ...] = ("person",)
    data: str = Field(min_length=1)
    licence: str = Field(min_length=1)
    provenance: str = Field(min_length=1)
    command: str = Field(min_length=1)
    seed: int
    share: Share  # how far from the start towards the fine-tuned network
    metrics: Mapping[str, PersonFigures]
    start_metrics: Mapping[str, PersonFigures]
    limits: str = Field(min_length=1)
    recipes: Mapping[str, str]
    sha256: Mapping[str, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]]


def write_person_card(card: PersonCard, folder: Path) -> None:
    write_atomically(folder / CARD_FILE, card.model_dump_json(indent=2) + "\n")


def read_person_card(folder: Path) -> PersonCard:
    """Read ``card.json`` and compare the network with it. Raises CardError, or ChecksumError for another network."""
    card = parsed(folder / CARD_FILE, PersonCard)
    check_networks(folder, card.sha256)
    return card
