"""The inference worker's inside: one owner of detector, appearance encoder and classifiers.

Used by the inference process for all streams (``inference_process.py``) and by ``actoscope annotate`` in one process
(``offline/local_inference.py``). Detection and classification run on one thread each, so a long clip never holds up
detection.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from models.classifier import ActionClassifier
from models.errors import OverlapUnsupportedError
from models.runtimes.host import cores
from models.runtimes.overlap import Place, StemReuse
from models.weights.cards import light_card, read_card
from pipeline.appearance import AppearanceConfig, AppearanceEncoder, with_features
from pipeline.detector import DetectorConfig, PersonDetector
from pipeline.entities import Clip, Detections, Floats, Frame, Image, Poses
from pipeline.errors import DetectorError
from pipeline.memory import give_memory_back
from pipeline.pose import PoseConfig, PoseNetwork, find_pose_weights
from service.budget.budget import FEATURE_WORK, POSE_WORK, clip_work, detect_work
from service.budget.costs import Costs
from service.configuration import EngineConfig
from service.counters import BATCH_BUCKETS, Measures
from service.errors_base import ServiceError

log = logging.getLogger(__name__)

BATCHES_KNOWN = 1000  # of many cameras of many shapes; then they are forgotten
TrackKey = tuple[int, int]  # (number of the stream, track_id)


class ModelUnavailable(ServiceError, RuntimeError):
    """A classifier cannot be loaded; the message says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """What a network sees of a clip. Whose it is and when it was belongs to those who sent it.

    ``crops``: T pictures, uint8 (H, W, 3) RGB; tracks of one scene refer to one and the same tuple. ``first_sample``:
    the number of the first on the track's grid. ``box``: float32 (4,) 0..1, for networks that see whole scenes.
    """

    crops: tuple[Image, ...]
    first_sample: int
    provisional: bool = False
    box: Floats | None = None

    @classmethod
    def of(cls, clip: Clip) -> Pictures:
        return cls(clip.crops, clip.first_sample, clip.provisional, clip.box)

    def stack(self) -> Image:
        """→ uint8 (T, H, W, 3), a new array."""
        return np.stack(self.crops)


class InferenceEngine:
    """Loads everything once. ``detect`` and ``classify`` may run at the same time, each from one thread."""

    def __init__(
        self,
        config: EngineConfig,
        measures: Measures | None = None,
        on_loading: Callable[[str], None] = lambda _: None,
    ) -> None:
        """``on_loading`` hears what is being loaded, for people."""
        self.config = config
        self.measures = measures or Measures()
        self.costs = Costs()
        self._on_loading = on_loading
        self._loading("the person detector")
        self._detector = load_detector(config)
        self._loading("the appearance encoder")
        self._encoder = load_encoder(config)
        self._poses: PoseNetwork | None = None
        self._no_poses = ""  # why it cannot be had, once that is known
        self._pose_lock = threading.Lock()  # not the other one: networks may be loading for minutes
        self._classifiers: dict[str, ActionClassifier] = {}
        self._load_lock = threading.Lock()
        self._turns = defaultdict[str, threading.Lock](threading.Lock)  # a network answers one thread at a time
        self._retired: set[str] = set()  # networks of versions that serve no more
        self._retired_lock = threading.Lock()  # short, and taken last: who keeps or retires waits for no load
        self._notes: dict[str, str] = {}  # of networks that are not loaded: why
        self._batches: set[tuple[object, ...]] = set()  # input side and pictures' shapes that the detector has run
        self.classifier(self._first())

    def _first(self) -> str:
        """The network that gives the first labels: where a lighter one may do, that one, which is ready at once."""
        light = light_card(read_card(self.config.model_dir)) if self.config.light_first else None
        return self.config.model if light is None else light.folder.name

    def _loading(self, what: str) -> None:
        log.info("loading %s (where it is not converted yet, that is done now)", what)
        self._on_loading(what)

    def loaded(self, name: str) -> bool:
        return name in self._classifiers

    def note(self, name: str, text: str) -> None:
        """What ``describe`` says of a network that is not loaded."""
        self._notes[name] = text

    def unload(self, name: str) -> None:
        """Gives its memory back; the next use loads it again."""
        with self._load_lock, self._retired_lock:
            self._classifiers.pop(name, None)
            self._retired.discard(name)
        give_memory_back()

    def retire(self, names: Iterable[str]) -> None:
        """These stay loaded, so that a roll-back need not wait, until their room is needed or they are ``kept``."""
        with self._retired_lock:
            self._retired.update(name for name in names if name in self._classifiers)

    def keep(self, names: Iterable[str]) -> None:
        """These are in use."""
        with self._retired_lock:
            self._retired -= set(names)

    def drop_retired(self, but: Iterable[str] = ()) -> None:
        """Gives back the memory of those that serve no more."""
        with self._load_lock, self._retired_lock:
            for name in self._retired - set(but):
                self._classifiers.pop(name, None)
                self._retired.discard(name)
        give_memory_back()

    def classifier(self, name: str) -> ActionClassifier:
        """The loaded network of ``weights/<name>``; loads it the first time. Raises ModelUnavailable."""
        if (ready := self._classifiers.get(name)) is not None:  # without the lock: another may load
            return ready
        with self._load_lock:
            if (loaded := self._classifiers.get(name)) is not None:
                return loaded
            with self._retired_lock:
                if len(self._classifiers) >= self.config.max_models and self._retired:
                    self._classifiers.pop(self._retired.pop(), None)
            if len(self._classifiers) >= self.config.max_models:
                raise ModelUnavailable(f"model {name!r}: already {self.config.max_models} models are loaded")
            self._loading(f"model {name}")
            try:
                loaded = load_classifier(self.config, name)
            except (OSError, ValueError, RuntimeError) as error:
                raise ModelUnavailable(f"model {name!r} cannot be loaded: {error}") from error
            self._reuse_stems(loaded)
            self._classifiers[name] = loaded
            self._notes.pop(name, None)
            return loaded

    def measure_first(self) -> None:
        """What the first labels are made of, where it is not known yet what that costs here: some tenths of a second.

        A detection in a picture of 16:9, one person's appearance, and a clip where a lighter network came first: others
        leave nothing to choose, and may take seconds.
        """
        size = self.config.detector_image_size
        blank = np.zeros((size * 9 // 16, size, 3), np.uint8)
        if self.costs.of(detect_work(size)) is None:
            for _ in range(2):  # the first only prepares
                self._find([blank], size)
        if self.costs.of(FEATURE_WORK) is None:
            everything = np.array([[0, 0, blank.shape[1], blank.shape[0]]], np.float32)  # one box x1 y1 x2 y2
            with self.costs.timed(FEATURE_WORK, self._threads):
                self._encoder.encode(blank, everything)
        if self._first() != self.config.model:
            self.measure_clip(self._first())

    def measure_clip(self, name: str) -> None:
        """One empty clip, where it is not known yet what a clip costs here."""
        classifier = self.classifier(name)
        if classifier.sees_scenes or self.costs.of(clip_work(name)) is not None:
            return
        with self._turns[name], self.costs.timed(clip_work(name), self._threads):
            classifier.predict(np.zeros((1, *classifier.clip_shape), np.uint8))

    @property
    def _threads(self) -> int:
        return self.config.threads or cores()

    def _reuse_stems(self, classifier: ActionClassifier) -> None:
        """Where network and runtime can (``models.runtimes.overlap``); elsewhere every clip is computed whole."""
        if self.config.stem_memory_mb == 0:
            return
        try:
            classifier.reuse_stems(self.config.stem_memory_mb * 1_000_000)
        except OverlapUnsupportedError as error:
            log.info("model %s computes every clip whole: %s", classifier.card.name, error)

    def describe(self) -> dict[str, str]:
        """What runs where, for people and for the API."""
        models = {f"model:{name}": item.runtime for name, item in list(self._classifiers.items())}
        notes = {f"model:{name}": text for name, text in list(self._notes.items())}
        poses = {"poses": self._poses.description} if self._poses is not None else {}
        return {"detector": self._detector.description, **poses, **notes, **models}

    def detect(self, images: Sequence[Image], expected_xyxy: Sequence[Floats], image_size: int = 0) -> list[Detections]:
        """A batch of frames of several streams → their people, with features where association is not clear.

        ``image_size``: the detector's input side in pixels, 0 as configured.
        """
        size = min(image_size, self.config.detector_image_size) or self.config.detector_image_size
        self.measures.observe("batch:detect", len(images), tuple(map(float, BATCH_BUCKETS)))
        with self.measures.timed("detect"):
            found = self._find(images, size)
        with self.measures.timed("appearance"):
            return [self._with_features(*item) for item in zip(images, found, expected_xyxy, strict=True)]

    def _find(self, images: Sequence[Image], size: int) -> list[Detections]:
        """The first batch of a shape prepares its kernels: several times what any later one takes, so not a cost."""
        batch = size, *sorted(image.shape[:2] for image in images)
        with self.costs.timed(detect_work(size), self._threads) as done:
            found = self._detector.detect(images, size)
            done.count = len(images) if batch in self._batches else 0
        if len(self._batches) >= BATCHES_KNOWN:
            self._batches.clear()
        self._batches.add(batch)
        return found

    def _with_features(self, image: Image, detections: Detections, expected_xyxy: Floats) -> Detections:
        with self.costs.timed(FEATURE_WORK, self._threads) as done:
            described = with_features(self._encoder, image, detections, expected_xyxy)
            done.count = 0 if described.features is None else int(np.isfinite(described.features[:, 0]).sum())
        if done.count:
            self.measures.count("appearance_features_total", done.count)
        self.measures.count("people_detected_total", len(detections))
        return described

    def find_poses(self, image: Image) -> Poses:
        """uint8 (H, W, 3) RGB → the bodies in it; loads the network the first time. Raises DetectorError."""
        network = self.pose_network()
        with self.measures.timed("pose"), self.costs.timed(POSE_WORK, self._threads):
            return network.find([image])[0]

    def pose_network(self) -> PoseNetwork:
        """Loaded when the first stream wants it: most never do. Raises DetectorError, each time the same."""
        if self._poses is not None:
            return self._poses
        with self._pose_lock:
            if self._poses is None and not self._no_poses:
                self._loading("the pose network")
                try:
                    self._poses = load_pose_network(self.config)
                except (DetectorError, OSError, ValueError, RuntimeError) as error:
                    self._no_poses = str(error)
            if self._poses is None:
                raise DetectorError(self._no_poses)
            return self._poses

    def classify(self, model: str, clips: Sequence[Pictures], keys: Sequence[TrackKey]) -> Floats:
        """Clips of any tracks, with the key of each track → probabilities float32 (N, C), in order.

        Raises ValueError for clips that the model was not made for.
        """
        classifier = self.classifier(model)
        self.measures.observe("batch:classify", len(clips), tuple(map(float, BATCH_BUCKETS)))
        with (
            self.measures.timed("classify"),
            self._turns[model],
            self.costs.timed(clip_work(model), self._threads) as done,
        ):
            done.count = len(clips)
            probabilities = _predict(classifier, clips, keys)
        self.measures.count("clips_classified_total", len(clips))
        self._measure_stems()
        return probabilities

    def classify_beside(self, model: str, classifier: ActionClassifier, clip: Pictures) -> Floats:
        """One clip for a network that is only tried → probabilities float32 (C,); counted with no other's work.

        Nothing is kept for its track. Raises ValueError for a clip that the model was not made for.
        """
        with self.measures.timed("shadow"), self._turns[model]:
            boxes = None if clip.box is None else clip.box[None]
            probabilities: Floats = classifier.predict(clip.stack()[None], boxes)[0]
        return probabilities

    def forget(self, gone: Callable[[TrackKey], bool]) -> None:
        """Drops what is kept for the tracks whose key is ``gone``."""
        for stems in self._stems():
            stems.forget(gone)
        self._measure_stems()

    def _stems(self) -> list[StemReuse]:
        return [item.stems for item in list(self._classifiers.values()) if item.stems is not None]

    def _measure_stems(self) -> None:
        stats = [stems.stats() for stems in self._stems()]
        if stats:
            self.measures.set_counter("stem_steps_reused_total", sum(each.steps_reused for each in stats))
            self.measures.set_counter("stem_steps_computed_total", sum(each.steps_computed for each in stats))
            self.measures.set_counter("stem_evictions_total", sum(each.evictions for each in stats))
            self.measures.gauge("stem_tracks", sum(each.tracks for each in stats))
            self.measures.gauge("stem_memory_bytes", sum(each.memory_bytes for each in stats))

    def batch_limit(self, model: str) -> int:
        ready = self._classifiers.get(model)
        return 1 if ready is None else min(ready.preferred_batch, self.config.max_batch)

    def scene_limit(self, model: str) -> int:
        """How many people of one scene to classify together, for nearly the price of one; 0 for models of crops."""
        ready = self._classifiers.get(model)
        return self.config.max_batch if ready is not None and ready.sees_scenes else 0


def _predict(classifier: ActionClassifier, clips: Sequence[Pictures], keys: Sequence[TrackKey]) -> Floats:
    """→ probabilities float32 (N, C)."""
    if classifier.sees_scenes or any(clip.box is not None for clip in clips):
        return _predict_scenes(classifier, clips)
    stacked = np.stack([clip.stack() for clip in clips])
    return classifier.predict_placed(stacked, [_place(*pair) for pair in zip(clips, keys, strict=True)])


def _predict_scenes(classifier: ActionClassifier, clips: Sequence[Pictures]) -> Floats:
    """As ``_predict``; clips that refer to one and the same pictures go through the network together."""
    scenes: dict[int, list[int]] = {}
    for index, clip in enumerate(clips):
        scenes.setdefault(id(clip.crops), []).append(index)
    probabilities = np.empty((len(clips), len(classifier.labels)), np.float32)
    for indices in scenes.values():
        pictures = clips[indices[0]].stack()[None]  # uint8 (1, T, H, W, 3)
        boxes = [box for index in indices if (box := clips[index].box) is not None]
        probabilities[indices] = classifier.predict(pictures, np.stack(boxes) if boxes else None)
    return probabilities


def _place(clip: Pictures, key: TrackKey) -> Place | None:
    """Provisional clips play their crops back and forth, so nothing in them lies where the next clip has it."""
    return None if clip.provisional else Place(key, clip.first_sample)


def load_detector(config: EngineConfig) -> PersonDetector:
    settings = DetectorConfig(
        image_size=config.detector_image_size,
        confidence=config.detector_confidence,
        cache_dir=config.cache_dir,
        weights_dir=config.weights_dir,
        threads=config.threads,
    )
    return PersonDetector.load(config.detector, settings)


def load_encoder(config: EngineConfig) -> AppearanceEncoder:
    settings = AppearanceConfig(config.cache_dir, config.threads, config.weights_dir)
    return AppearanceEncoder.load(config.appearance, settings)


def load_classifier(config: EngineConfig, name: str) -> ActionClassifier:
    """``name``: of a folder in ``weights_dir``, or an absolute path. Raises CardError, RuntimeUnavailableError."""
    return ActionClassifier.load(
        config.weights_dir / name,
        config.runtime,
        cache_dir=config.cache_dir,
        threads=config.threads or None,
        measure=config.measure and name == config.model,  # the others load while it is busy
    )


def load_pose_network(config: EngineConfig) -> PoseNetwork:
    """Raises DetectorError where there is none; the message says how to get one."""
    file = find_pose_weights(config.pose_weights, config.weights_dir)
    return PoseNetwork.load(file, PoseConfig(cache_dir=config.cache_dir, threads=config.threads))


@dataclass(frozen=True)
class PeopleFinder:
    """People and what they look like, for what needs no actions."""

    detector: PersonDetector
    encoder: AppearanceEncoder

    def __call__(self, frame: Frame, expected_xyxy: Floats) -> Detections:
        """``expected_xyxy``: float32 (M, 4), where people are expected; features where association is not clear."""
        return with_features(self.encoder, frame.image, self.detector.detect([frame.image])[0], expected_xyxy)


def load_people_finder(config: EngineConfig) -> PeopleFinder:
    return PeopleFinder(load_detector(config), load_encoder(config))
