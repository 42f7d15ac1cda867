"""Two cameras, a small network that knows only the first, and people's verdicts: all real files, made in a second.

A clip is noise with a bright band, whose place is the class. At the gate the band is red and lies where the network
learnt it. The yard's camera shows it in blue, one place further down: there the network is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.data.clip_file import ClipFormat, write_clip
from models.data.manifest import ClipRecord, Dataset, DatasetInfo, Split, class2label, write_dataset
from models.weights.cards import CARD_FILE, LABELS_FILE, MODEL_FILE, ModelCard, ModelInput
from pipeline.files import file_sha256

LABELS = ("Fighting", "Standing", "Walking")
FRAMES, SIZE = 9, 32
FORM = ModelInput(frames=FRAMES, height=SIZE, width=SIZE)
ALIAS = "guard"
START = 1_777_000_000.0
HOUR = 3600.0


@dataclass(frozen=True)
class Camera:
    id: str
    name: str
    colour: int
    shift: int


GATE = Camera("str_000000000000000a", "Gate", 0, 0)
YARD = Camera("str_000000000000000b", "Yard", 2, 1)


def shown(camera: Camera, label: str, seed: int) -> NDArray[np.uint8]:
    """uint8 (FRAMES, 32, 32, 3)."""
    rng = np.random.default_rng(seed)
    clip = rng.integers(0, 60, (FRAMES, SIZE, SIZE, 3), dtype=np.uint8)
    row = 8 * ((LABELS.index(label) + camera.shift) % 3) + 4
    clip[:, row : row + 8, :, camera.colour] += 150
    return clip


def make_network(folder: Path, light: str = "", seed: int = 0) -> Path:
    """The champion, whose output was fitted to the gate alone."""
    import keras
    from sklearn.linear_model import LogisticRegression

    layers = keras.layers
    clip = keras.Input((FRAMES, SIZE, SIZE, 3), name="clip")
    bands = layers.AveragePooling3D((FRAMES, 4, SIZE), name="bands")(clip)
    logits = layers.Dense(len(LABELS), name="out")(layers.Flatten(name="features")(bands))
    model = keras.Model(clip, logits)
    features = keras.Model(clip, model.get_layer("features").output)
    clips = np.stack([shown(GATE, label, seed + 500 + n) for n in range(20) for label in LABELS])
    found = features.predict_on_batch(clips.astype(np.float32) / 127.5 - 1)
    fitted = LogisticRegression(C=10.0).fit(found, [LABELS.index(label) for _ in range(20) for label in LABELS])
    model.get_layer("out").set_weights([fitted.coef_.T.astype(np.float32), fitted.intercept_.astype(np.float32)])
    return write_network(folder, model, light)


def write_network(folder: Path, model: Any, light: str = "") -> Path:
    folder.mkdir(parents=True)
    model.save(folder / MODEL_FILE)
    (folder / LABELS_FILE).write_text("\n".join(LABELS) + "\n", "utf-8")
    card = ModelCard(
        name=folder.name,
        kind="bands",
        num_classes=len(LABELS),
        input=FORM,
        light=light,
        provenance="made by a test",
        licence="none",
        sha256={name: file_sha256(folder / name) for name in (MODEL_FILE, LABELS_FILE)},
    )
    (folder / CARD_FILE).write_text(card.model_dump_json(), "utf-8")
    return folder


def began(after_s: float) -> str:
    """→ RFC 3339, so long after START."""
    return datetime.fromtimestamp(START + after_s, timezone.utc).isoformat()


class Verdicts:
    """Writes corrections as the service does, one an hour."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    def add(
        self,
        camera: Camera,
        label: str,
        *,
        truth: str = "",
        audit: bool = False,
        noise: int | None = None,
        **changes: Any,
    ) -> str:
        """``truth``: what the clip shows, where the label is wrong. ``noise``: of another clip, to look like it. → the
        id.
        """
        self.count += 1
        own = f"ver_{self.count:016x}"
        folder = self.folder / own
        folder.mkdir(parents=True)
        clip = folder / "clip.mp4"
        write_clip(
            clip,
            shown(camera, truth or label, self.count if noise is None else noise),
            25.0,
            ClipFormat.H264,
        )
        at = began(self.count * HOUR)
        form = {
            **{"id": own, "event_id": f"evt_{self.count:016x}", "stream_id": camera.id, "stream_name": camera.name},
            **{"track_id": self.count, "group": f"{camera.id}/evt_{self.count:016x}", "start_s": 0.0, "end_s": 0.4},
            **{"started_at": at, "label": label, "said": LABELS[0]},
            **{"verdict": "wrong", "by": "anna", "at": at, "model": None, "model_version": None},
            **{"split": "audit" if audit else "train", "near_threshold": False, "sha256": file_sha256(clip)},
            "superseded_by": None,
        }
        (folder / "label.json").write_text(json.dumps({**form, **changes}), "utf-8")
        return own

    def many(self, camera: Camera, each: int, *, audit: bool = False, labels: Sequence[str] = LABELS) -> None:
        for _ in range(each):
            for label in labels:
                self.add(camera, label, audit=audit)


def make_base(folder: Path, each: int = 8) -> Dataset:
    """What the network was made of: clips of the gate, a half of them to learn from."""
    records = []
    for number in range(each * len(LABELS)):
        label = LABELS[number % len(LABELS)]
        path = folder / "clips" / f"{number:03d}.mp4"
        write_clip(path, shown(GATE, label, 900 + number), 25.0, ClipFormat.H264)
        split = Split.TRAIN if number < each * len(LABELS) / 2 else Split.TEST
        records.append(ClipRecord(path, label, f"video-{number // 3}", split))
    dataset = Dataset(folder, DatasetInfo(class2label=class2label(LABELS), input=FORM), tuple(records))
    write_dataset(dataset)
    return dataset
