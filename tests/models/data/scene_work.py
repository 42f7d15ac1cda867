"""A working folder with two invented people in a real video, and what its table of labels says of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from models.data.clip_file import ClipFormat
from models.data.manifest import Split
from models.data.tracks.labels_csv import LABELS_FILE, LabelRow, write_labels
from models.data.tracks.track_folders import TRACKS_FOLDER, VideoFacts
from models.data.tracks.track_writer import TrackWriter
from models.weights.cards import ModelInput

STREET = Path(__file__).resolve().parents[3] / "samples" / "street.mp4"  # 10 pictures a second, 768×576
SHAPE = ModelInput(kind="scene", frames=9, height=32, width=32, rate_hz=10.0)
FRAMES, LEFT, RIGHT = 40, 1, 2


def box(track_id: int, frame: int) -> np.ndarray:
    """One stands at the left, one walks at the right."""
    left = 20.0 if track_id == LEFT else 500.0 + frame
    return np.array([left, 100, left + 100, 400], np.float32)


def rows() -> list[LabelRow]:
    return [
        LabelRow("street", LEFT, label="standing", group="a"),
        LabelRow("street", RIGHT, 1, 20, "walking", "a", Split.TRAIN),
        LabelRow("street", RIGHT, 29, 40, "walking", "b", Split.VAL),
    ]


def make_scene_work(folder: Path) -> Path:
    """→ ``folder`` with tracks and the table of ``rows``."""
    facts = VideoFacts(
        source=str(STREET), size_bytes=1, tracks_from="a test", margin=0.2, size=8, format=ClipFormat.JPEG
    )
    crop = np.zeros((8, 8, 3), np.uint8)
    with TrackWriter(folder / TRACKS_FOLDER / "street", facts.format, 10.0) as writer:
        for frame in range(1, FRAMES + 1):
            for track_id in (LEFT, RIGHT):
                writer.add(track_id, frame, (frame - 1) / 10, crop, box(track_id, frame), 0.0)
        writer.finish(facts)
    write_labels(folder / LABELS_FILE, rows())
    return folder
