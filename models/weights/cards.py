"""What a weights folder says about itself: ``card.json``, ``labels.txt`` and the checksums of its files.

A folder ``weights/<name>/`` holds ``model.keras`` (float clips in [-1, 1] → logits), ``labels.txt`` (one name a
line, in the order of the logits) and ``card.json`` (a ``ModelCard``). Reading a card imports no network library.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.errors import CardError, ChecksumError
from pipeline.actions import Evidence
from pipeline.clips import ClipConfig
from pipeline.files import file_sha256

FORMAT_VERSION: Literal[1] = 1
CARD_FILE, LABELS_FILE, MODEL_FILE = "card.json", "labels.txt", "model.keras"
DETECTOR_KIND: Literal["person_detector"] = "person_detector"  # such folders hold no classifier,
APPEARANCE_KIND: Literal["appearance"] = "appearance"  # nor do these
_LOG = logging.getLogger(__name__)
Form = TypeVar("Form", bound=BaseModel)

ClipShape = tuple[int, int, int, int]  # (T, H, W, 3), or other channels where a network is given flow
Words = Annotated[str, Field(pattern=r"\S")]  # something that can be seen
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelInput(_Value):
    """The clip a network was trained on: ``frames`` pictures, ``rate_hz`` of them a second of media time.

    They are square crops of one person, or (``kind`` "scene") the whole scene stretched to ``height`` × ``width``, with
    the person's box beside it; ``margin`` is without use there.
    """

    kind: Literal["crops", "scene"] = "crops"
    frames: int = Field(default=64, ge=9)
    height: int = Field(default=224, ge=32)
    width: int = Field(default=224, ge=32)
    rate_hz: float = Field(default=25.0, gt=0)
    margin: float = Field(default=0.2, ge=0)  # added around the person's box, as a part of its longer side
    colour: Literal["RGB"] = "RGB"
    value_range: tuple[float, float] = (-1.0, 1.0)  # of model.keras; the runtimes take uint8 and scale inside

    def clip_config(self, hop: int, provisional_from: int = ClipConfig.provisional_from) -> ClipConfig:
        """How a stream must sample its people for this network; ``hop`` and ``provisional_from`` count crops.

        Raises CardError when crops of people are not square.
        """
        if self.kind == "scene":
            return ClipConfig(
                length=self.frames,
                hop=hop,
                rate_hz=self.rate_hz,
                provisional_from=min(provisional_from, self.frames),
                scene_hw=(self.height, self.width),
            )
        if self.height != self.width:
            raise CardError(f"crops of people are square, the network wants {self.height} × {self.width}")
        return ClipConfig(
            length=self.frames,
            hop=hop,
            rate_hz=self.rate_hz,
            provisional_from=min(provisional_from, self.frames),
            size=self.height,
            margin=self.margin,
        )


class ModelCard(_Value):
    """The facts about one weights folder. ``folder`` and ``labels`` are added on reading.

    ``evidence``: by label, what it takes before the service tells it as an event; others need what every label needs.
    ``light``: name of a cheaper network with the same labels beside this one, which streams take where the machine
    cannot keep up; empty where there is none.
    ``parent``: the version that a retrained network started from; ``data_sha256`` and ``config_sha256``: what it learnt
    from and how (``models.retraining``); ``corrections``: how many of these clips were corrected labels.
    """

    format_version: Literal[1] = FORMAT_VERSION
    name: Words
    kind: Words  # a name in models.networks.registry
    num_classes: int = Field(ge=1)
    input: ModelInput = ModelInput()
    light: str = ""
    runtime: str = Field(
        default="auto", min_length=1
    )  # what runs it unless asked otherwise: a name in models.runtimes.runner
    metrics: Mapping[str, float] = {}  # measured by this project only
    temperature: float = Field(default=1.0, gt=0)  # logits are divided by it before softmax (Guo et al. 2017)
    evidence: Mapping[str, Evidence] = {}
    provenance: Words
    licence: Words
    data: str = ""  # what the network was trained and measured on, and under which licence
    command: str = ""  # how it was made
    seed: int | None = None
    recipes: Mapping[str, str] = {}  # how to make it again, by kind of machine
    limits: str = ""  # where it must not be trusted
    parent: str = ""
    data_sha256: str = ""
    corrections: int = Field(default=0, ge=0)
    config_sha256: str = ""
    sha256: Mapping[str, Sha256]
    folder: Path = Field(default=Path(), exclude=True)
    labels: tuple[str, ...] = Field(default=(), exclude=True)

    @property
    def clip_shape(self) -> ClipShape:
        """(T, H, W, 3)."""
        return self.input.frames, self.input.height, self.input.width, 3


def read_card(folder: Path) -> ModelCard:
    """Read and check ``card.json`` and ``labels.txt``. Raises CardError with the file and what is wrong."""
    path = folder / CARD_FILE
    try:
        card = parsed(path, ModelCard)
    except CardError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        raise CardError(
            f"{path} does not exist: {folder} is no weights folder (`actoscope weights pull` makes one)"
        ) from None
    check_named(path, card.sha256, (LABELS_FILE, MODEL_FILE))
    labels = _read_labels(folder, card.num_classes)
    if unknown := sorted(set(card.evidence) - set(labels)):
        raise CardError(f"{path}: evidence: the network has no label {', '.join(unknown)}")
    return card.model_copy(update={"folder": folder, "labels": labels})


def parsed(path: Path, form: type[Form]) -> Form:
    """→ a ``card.json`` in its form. Raises CardError with the file and what is wrong."""
    try:
        return form.model_validate_json(path.read_text("utf-8"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise CardError(f"{path}: {where}: {first['msg']}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise CardError(f"{path} cannot be read: {error}") from error


def check_named(path: Path, sha256: Mapping[str, str], files: Collection[str]) -> None:
    """Raises CardError where the card at ``path`` has no checksum of one of ``files``."""
    missing = set(files) - set(sha256)
    if missing:
        raise CardError(f"{path}: sha256: names no {' and no '.join(sorted(missing))}")


def check_networks(folder: Path, sha256: Mapping[str, str]) -> None:
    """Compare files with their card. Raises CardError where one is missing, ChecksumError where it is another."""
    for name, expected in sha256.items():
        damage = _damage(folder / name, expected)
        if damage is not None:
            raise ChecksumError(damage)


def _damage(path: Path, expected: str) -> str | None:
    """→ how a file differs from the one that its card tells of, else None. Raises CardError where there is no file."""
    if not path.is_file():
        raise CardError(f"{path} is missing")
    actual = file_sha256(path)
    return None if actual == expected else f"{path} is damaged: sha256 {actual}, the card expects {expected}"


def light_card(card: ModelCard) -> ModelCard | None:
    """→ the card of the lighter network that ``card`` names, beside its own folder; None where there is none to use.

    One that cannot be read or knows other labels is logged and left out: the network itself goes on answering.
    """
    if not card.light:
        return None
    try:
        light = read_card(card.folder.parent / card.light)
    except CardError as error:
        _LOG.warning("%s: its lighter network is left out: %s", card.name, error)
        return None
    if light.labels != card.labels or light.input.kind != card.input.kind:
        _LOG.warning("%s: its lighter network %s is left out: it knows other labels", card.name, card.light)
        return None
    return light


def _read_labels(folder: Path, num_classes: int) -> tuple[str, ...]:
    """The class names in the order of the logits; missing, repeated, or not one a class is a CardError."""
    path = folder / LABELS_FILE
    try:
        labels = tuple(line.strip() for line in path.read_text("utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise CardError(f"{path} cannot be read: {error}") from error
    if len(labels) != num_classes:
        raise CardError(f"{path} has {len(labels)} labels, the network has {num_classes} classes")
    if len(set(labels)) != len(labels):
        repeated = sorted({label for label in labels if labels.count(label) > 1})
        raise CardError(f"{path} repeats {', '.join(repeated)}")
    return labels


def list_models(root: Path) -> list[ModelCard]:
    """The cards of every classifier's folder directly under ``root``, by name; other folders are passed over.

    A broken folder is logged and left out, so that the others stay usable.
    """
    if not root.is_dir():
        return []
    folders = sorted(path for path in root.iterdir() if not path.name.startswith(".") and (path / CARD_FILE).is_file())
    cards = []
    for folder in folders:
        if _is_no_classifier(folder):
            continue
        try:
            cards.append(read_card(folder))
        except CardError as error:
            _LOG.warning("weights folder left out: %s", error)
    return cards


def _is_no_classifier(folder: Path) -> bool:
    """Whether the card is a person detector's or an appearance network's (``models.person_training.card``,
    ``models.appearance_training.card``); an unreadable one is not.
    """
    try:
        content = json.loads((folder / CARD_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("kind") in (DETECTOR_KIND, APPEARANCE_KIND)


def verify(card: ModelCard) -> None:
    """Compare every file of the folder with the card. Raises CardError naming the file, expected and actual sha256."""
    for name, expected in card.sha256.items():
        if Path(name).name != name:
            raise CardError(f"{card.folder / CARD_FILE}: sha256: {name!r} is no plain file name")
        damage = _damage(card.folder / name, expected)
        if damage is not None:
            raise CardError(damage)
