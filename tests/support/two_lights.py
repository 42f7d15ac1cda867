"""Two cameras over one street, and a small network that knows the first one alone: real pictures, made in a second.

What people do goes by the light: at the gate those who walk pass a red lamp and those who loiter a green one. In the
yard the lamps are blue and yellow, and the network takes each for the other. What has any green loiters: a network
that learns both cameras finds that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from models.data.clip_file import ClipFormat, write_clip
from models.data.imports.corrections import CLIP_FILE, CorrectionFacts, write_facts
from models.data.manifest import ClipRecord, Dataset, DatasetInfo, Split, class2label, write_dataset
from models.weights.cards import CARD_FILE, LABELS_FILE, MODEL_FILE, ModelCard, ModelInput
from pipeline.files import file_sha256
from tests.support.street import ALONE, WINDOW_HW, street_window

LABELS = LOITERING, WALKING = ("Loitering", "Walking")
PLACES = WALKING, LOITERING  # left and right
FORM = ModelInput(frames=16, height=32, width=32)
RATE_HZ = 10
SHOWN, GONE = 32, 12  # pictures with two people, and after them without
# Couples take turns in two rows: too far from the one before, and too long after the one before that, to be the same.
ROWS = 2
COUPLES = 12
STANDS = 14  # of the walk: where the one who loiters stands
_SCALE = 80.0  # of what the network's output reads: a few epochs at the rate of a training then move it far enough
_YARD_ID = "str_000000000000000b"
_RED, _GREEN, _BLUE = np.eye(3, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Camera:
    """``lamps``: label → the colour of its light, RGB in 0..1. Walkers are on the left, who loiters is on the right.

    ``clouds``: the shadows are others for everybody, as clips that look the same are none to learn from and to measure
    on. Without them everybody who loiters is the same picture.
    """

    name: str
    lamps: Mapping[str, NDArray[np.float32]]
    clouds: float = 0.0

    def write(self, path: Path) -> Path:
        """Couples come and go, for 53 s."""
        with av.open(str(path), "w") as out:
            options = {"crf": "18", "bf": "0", "g": str(SHOWN + GONE), "preset": "veryfast"}
            stream = out.add_stream("libx264", rate=RATE_HZ, options=options)
            (stream.height, stream.width), stream.pix_fmt = (ROWS * WINDOW_HW[0], 2 * WINDOW_HW[1]), "yuv420p"
            nobody = np.median(street_window()[::5], axis=0).astype(np.float32)
            empty = self._row((nobody, nobody), (0.0, 0.0))
            for number in range(COUPLES):
                rows = [empty] * ROWS
                for row in [*self._couple(np.random.default_rng(number)), *[empty] * GONE]:
                    rows[number % ROWS] = row
                    picture = av.VideoFrame.from_ndarray(np.concatenate(rows), format="rgb24")
                    out.mux(stream.encode(picture))
            out.mux(stream.encode())
        return path

    def _couple(self, rng: np.random.Generator) -> Iterator[NDArray[np.uint8]]:
        """One walks, another one stands."""
        street = [street_window()[index] for index in ALONE]
        shadows = self._shadow(rng), self._shadow(rng)
        for each in street[8 : 8 + SHOWN]:
            yield self._row((each, street[STANDS]), shadows)

    def _row(self, images: Sequence[NDArray[Any]], shadows: Sequence[Any]) -> NDArray[np.uint8]:
        places = zip(images, shadows, PLACES, strict=True)
        return np.concatenate([self._lit(image + shadow, label) for image, shadow, label in places], axis=1)

    def _shadow(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """float32 (288, 320, 1), around 0."""
        rough = self.clouds * rng.uniform(-1, 1, (9, 10)).astype(np.float32)
        return np.asarray(cv2.resize(rough, WINDOW_HW[::-1], interpolation=cv2.INTER_CUBIC))[..., None]

    def _lit(self, image: NDArray[Any], label: str) -> NDArray[np.uint8]:
        return np.asarray(np.clip(image * 0.5 + 110 * self.lamps[label], 0, 255), np.uint8)

    def clip(self, label: str, seed: int) -> NDArray[np.uint8]:
        """→ uint8 (16, 32, 32, 3) RGB: somewhere in the street, under that lamp."""
        street, rng = street_window(), np.random.default_rng(seed)
        top, left, first = (int(rng.integers(0, most)) for most in (140, 140, 150))
        shadow = self._shadow(rng)
        lit = [self._lit(each + shadow, label) for each in street[first : first + FORM.frames]]
        cuts = [each[top : top + 144, left : left + 144] for each in lit]
        return np.stack([cv2.resize(each, (FORM.width, FORM.height)) for each in cuts])


GATE = Camera("Gate", {WALKING: _RED, LOITERING: _GREEN})
YARD = Camera("Yard", {WALKING: _BLUE, LOITERING: _RED + _GREEN}, clouds=60.0)


def make_network(folder: Path) -> Path:
    """Red walks, green loiters, and so does blue: right at the gate, wrong in the yard."""
    import keras

    layers = keras.layers
    clip = keras.Input((FORM.frames, FORM.height, FORM.width, 3), name="clip")
    light = layers.Flatten(name="light")(layers.AveragePooling3D((FORM.frames, FORM.height, FORM.width))(clip))
    features = layers.Rescaling(_SCALE, offset=0.2 * _SCALE, name="features")(light)
    model = keras.Model(clip, layers.Dense(len(LABELS), name="out")(features))
    walks = np.array([1.2, -1.2, -1.2], np.float32) / _SCALE
    model.get_layer("out").set_weights([np.stack([-walks, walks], 1), np.zeros(len(LABELS), np.float32)])
    folder.mkdir(parents=True)
    model.save(folder / MODEL_FILE)
    (folder / LABELS_FILE).write_text("\n".join(LABELS) + "\n", "utf-8")
    card = ModelCard(
        name=folder.name,
        kind="light",
        num_classes=len(LABELS),
        input=FORM,
        provenance="made by a test",
        licence="none",
        sha256={name: file_sha256(folder / name) for name in (MODEL_FILE, LABELS_FILE)},
    )
    (folder / CARD_FILE).write_text(card.model_dump_json(), "utf-8")
    return folder


def make_base(folder: Path, clips: int = 24) -> Dataset:
    """What the network was made of: the gate, a half of it to learn from."""
    records = []
    for number in range(clips):
        label = LABELS[number % 2]
        path = folder / "clips" / f"{number:03d}.mp4"
        write_clip(path, GATE.clip(label, number), FORM.rate_hz, ClipFormat.H264)
        split = Split.TRAIN if number < clips / 2 else Split.TEST
        records.append(ClipRecord(path, label, f"video-{number // 2}", split))
    dataset = Dataset(folder, DatasetInfo(class2label=class2label(LABELS), input=FORM), tuple(records))
    write_dataset(dataset)
    return dataset


def write_corrections(folder: Path, each: int = 3) -> None:
    """What people said of so many events of the yard, of each label, of the audit sample and of the rest."""
    for number in range(4 * each):
        own, label, event = f"ver_{number:016x}", LABELS[number % 2], f"evt_{number:016x}"
        clip = folder / own / CLIP_FILE
        clip.parent.mkdir(parents=True)
        write_clip(clip, YARD.clip(label, 500 + number), FORM.rate_hz, ClipFormat.H264)
        at = f"2026-05-04T{number:02d}:00:00.000Z"
        facts = CorrectionFacts(
            id=own,
            event_id=event,
            stream_id=_YARD_ID,
            stream_name=YARD.name,
            track_id=number,
            group=f"{_YARD_ID}/{event}",
            start_s=0.0,
            end_s=0.6,
            started_at=at,
            label=label,
            said=LABELS[1 - number % 2],
            verdict="wrong",
            by="anna",
            at=at,
            model=None,
            model_version=None,
            split="audit" if number < 2 * each else "train",
            near_threshold=False,
            sha256=file_sha256(clip),
        )
        write_facts(clip.parent, facts)
