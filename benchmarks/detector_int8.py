"""The shipped person detector in 8 bit integers, to see what that would save and cost. It does not ship.

    python benchmarks/detector_int8.py FOLDER [--frames 96]
    python benchmarks/detector_input.py weights/person/person.xml FOLDER --found-only

NNCF's post-training quantisation of all convolutions but the first, the last ones of the head and the one that decodes
boxes: with those too, average precision at 480 on PETS09-S2L1 falls by 0.018 instead of 0.009. Calibrated on the middle
frames of training videos of 'Surveillance Camera Fight' at input sizes 640, 480 and 416 in turn.
"""

from __future__ import annotations

import argparse
import csv
import random
import re
import sys
from pathlib import Path

import cv2
import numpy as np

HERE = Path(__file__).resolve().parent
if sys.path[0] == str(HERE):  # run as a script: benchmarks/pipeline.py would hide the package of that name
    sys.path[0] = str(HERE.parent)

from models.conversion.telemetry import silence  # noqa: E402 -- after the line above

silence()

import nncf  # noqa: E402 -- after silence()
import openvino as ov  # noqa: E402 -- likewise

from pipeline.detector import DetectorConfig, exported, read_network  # noqa: E402 -- after sys.path
from pipeline.entities import Floats, Image  # noqa: E402 -- after sys.path
from pipeline.letterbox import letterbox  # noqa: E402 -- after sys.path

VIDEOS = HERE.parents[1] / "shared" / "data" / "surveillance"
NETWORK = HERE.parent / "weights" / "person" / "person.pt"
SIZES = (640, 480, 416)
FLOATING = re.compile(r"model\.0\.|model\.23\.(dfl\.|cv[23]\.\d\.2/)")  # first layer; decoding; boxes and scores


def calibration_frames(count: int) -> list[Image]:
    """The middle frame of ``count`` training videos, drawn with a fixed seed."""
    with (VIDEOS / "clips.csv").open() as file:
        train = {row["clip"] for row in csv.DictReader(file) if row["split"] == "train"}
    videos = [path for path in sorted(VIDEOS.rglob("*.mp4")) if path.stem in train]
    random.Random(1).shuffle(videos)
    return [frame for frame in map(middle_frame, videos[:count]) if frame is not None]


def middle_frame(video: Path) -> Image | None:
    capture = cv2.VideoCapture(str(video))
    capture.set(cv2.CAP_PROP_POS_FRAMES, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) // 2)
    more, bgr = capture.read()
    capture.release()
    return np.ascontiguousarray(bgr[..., ::-1]) if more else None


def quantise(frames: list[Image]) -> ov.Model:
    def as_input(index: int) -> Floats:  # (1, 3, h, w) in 0..1
        pixels = letterbox(frames[index], SIZES[index % len(SIZES)], 32).pixels
        return np.asarray(pixels.transpose(2, 0, 1)[None], np.float32) / np.float32(255)

    model, metadata = read_network(exported(NETWORK, DetectorConfig()))
    ops = [(op.get_friendly_name(), op.get_type_name()) for op in model.get_ordered_ops()]
    rounded = {name for name, kind in ops if kind.endswith("Convolution") and not FLOATING.search(name)}
    floating = nncf.IgnoredScope(names=[name for name, _ in ops if name not in rounded], validate=False)
    samples = nncf.Dataset(range(len(frames)), as_input)
    result = nncf.quantize(
        model, samples, subset_size=len(frames), ignored_scope=floating, preset=nncf.QuantizationPreset.MIXED
    )
    for key in ("names", "stride"):
        result.set_rt_info(str(metadata[key]), ["framework", key])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description="The shipped person detector in int8")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--frames", type=int, default=96)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    ov.save_model(quantise(calibration_frames(arguments.frames)), arguments.folder / "int8.xml", compress_to_fp16=False)


if __name__ == "__main__":
    main()
