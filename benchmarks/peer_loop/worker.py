"""The example's loop for some seconds on a video at a camera's pace; prints its figures as JSON in the last line.

    python -m benchmarks.peer_loop.worker VIDEO --weights weights/person/person.pt [--seconds 60] [--threads 2]

torchvision's S3D has random weights: only speed is compared. It takes no clip shorter than 14 pictures (the example's
own default of 8 makes it fail), so each person's 8 crops are stretched to 14, the least that it takes.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.comparison.peers import BUILDERS
from benchmarks.live_cameras.figures import percentile
from benchmarks.peer_loop import assignment
from benchmarks.peer_loop.camera import FileCamera
from benchmarks.peer_loop.loop import People, Schedule, Shown, square_crop, stretched
from pipeline.entities import Floats, Image
from pipeline.geometry import normalise

PICTURES = 14  # the shortest clip that torchvision's S3D takes
MEAN, DEVIATION = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)  # of torchvision's S3D weights


class Networks:
    """The detector with ultralytics' tracker, and S3D."""

    def __init__(self, weights: Path, tracker: str) -> None:
        self.assignment = assignment.install()
        from ultralytics import YOLO  # noqa: PLC0415  # looks for lap when it is imported

        self._yolo = YOLO(str(weights), task="detect")
        self._person = next(index for index, name in self._yolo.names.items() if name.lower() == "person")
        self._tracker = tracker
        self._s3d = BUILDERS["torchvision s3d"]().eval()

    def track(self, image: Image) -> tuple[Floats, list[int]]:
        """uint8 (H, W, 3) BGR → boxes (N, 4) pixels and their track IDs."""
        options = {"classes": [self._person], "tracker": self._tracker, "device": "cpu", "verbose": False}
        boxes = self._yolo.track(image, persist=True, **options)[0].boxes
        if boxes.id is None:
            return np.empty((0, 4), np.float32), []
        return np.asarray(boxes.xyxy.numpy(), np.float32), [int(value) for value in boxes.id]

    def classify(self, clips: Image) -> list[int]:
        """uint8 (B, T, 224, 224, 3) BGR → B labels."""
        places = stretched(clips.shape[1], PICTURES)
        rgb = torch.from_numpy(np.ascontiguousarray(clips[:, places, ..., ::-1]))
        video = (rgb.float() / 255 - torch.tensor(MEAN)) / torch.tensor(DEVIATION)
        with torch.inference_mode():
            scores = self._s3d(video.permute(0, 4, 1, 2, 3))  # (B, 3, T, 224, 224)
        return [int(value) for value in scores.argmax(dim=1)]


def step(
    number: int, camera: FileCamera, networks: Networks, people: People, schedule: Schedule
) -> tuple[dict[str, Any], list[int]]:
    """One frame through the loop. → what is shown of it, as in a `tracks` message of the service, and who is there."""
    image, taken_s = camera.newest()
    boxes, track_ids = networks.track(image)
    if schedule.takes(number):
        for box, track_id in zip(boxes, track_ids, strict=True):
            people.take(track_id, square_crop(image, box, schedule.margin), taken_s)
        ready = people.ready(track_ids)
        if ready and schedule.classifies(number, bool(people.given)):
            clips = np.stack([people.clip(track_id) for track_id in ready])
            for track_id, action in zip(ready, networks.classify(clips), strict=True):
                people.give(track_id, action)
    places = normalise(boxes, (image.shape[0], image.shape[1])).tolist()
    return people.message(taken_s, track_ids, places), track_ids


def run(video: Path, networks: Networks, schedule: Schedule, seconds: float, patience_s: float) -> dict[str, Any]:
    """Measures from the first label on, or after ``patience_s``."""
    camera, people = FileCamera(video), People(schedule)
    number, begin, first_label_s = 0, time.monotonic(), None
    while not people.given and time.monotonic() - begin < patience_s:
        number += 1
        step(number, camera, networks, people, schedule)
    first_label_s = time.monotonic() - begin if people.given else None
    shown, messages, given = Shown(camera.now_s), list[dict[str, Any]](), people.given
    mark, used = time.monotonic(), time.process_time()
    while time.monotonic() - mark < seconds:
        number += 1
        message, track_ids = step(number, camera, networks, people, schedule)
        messages.append(message)
        shown.change(track_ids, people, camera.now_s)
    measured_s, cpu_s = time.monotonic() - mark, time.process_time() - used
    return {
        "seconds": round(measured_s),
        "pictures_a_second": round(len(messages) / measured_s, 2),
        "labels_a_second": round((people.given - given) / measured_s, 3),
        "labels_a_cpu_second": round((people.given - given) / cpu_s, 3),
        "label_age_s_p50": percentile(shown.ages_s, 50),
        "label_age_s_p95": percentile(shown.ages_s, 95),
        "cpu_s_a_second": round(cpu_s / measured_s, 2),
        "first_label_s": None if first_label_s is None else round(first_label_s, 1),
        "assignment": networks.assignment,
        "threads": torch.get_num_threads(),
        "messages": messages,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--tracker", default="botsort.yaml")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--patience", type=float, default=120.0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.manual_seed(0)
    networks = Networks(options.weights, options.tracker)
    networks.track(np.zeros((720, 1280, 3), np.uint8))  # ultralytics now leaves one core out: 1 thread of 2
    torch.set_num_threads(options.threads)
    print(json.dumps(run(options.video, networks, Schedule(), options.seconds, options.patience)))


if __name__ == "__main__":
    main()
