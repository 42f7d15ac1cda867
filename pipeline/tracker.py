"""Giving each person a lasting ID. The only file that imports deep_sort_realtime.

The library's Kalman filter, tracks, gallery and assignment are used through its own extension points. What differs:
time is media time and not a count of frames, weak detections may continue a track but never start one (ByteTrack,
Zhang et al. 2022), position and appearance are weighed together for visible people (BoT-SORT, Aharon et al. 2022),
and appearance alone, within reach of the last position, brings back people who were lost.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from deep_sort_realtime.deep_sort import kalman_filter, linear_assignment, nn_matching
from deep_sort_realtime.deep_sort import track as library_track
from deep_sort_realtime.deep_sort import tracker as library_tracker
from deep_sort_realtime.deep_sort.detection import Detection
from numpy.typing import NDArray

from pipeline.entities import Detections, Floats, Frame, Track, TrackState
from pipeline.geometry import ltwh_to_xyxy, pairwise_iou, xyxy_to_ltwh
from pipeline.tracker_clock import TrackerClock, TrackerConfig

__all__ = ["PersonTracker", "TrackerConfig"]

Indices = list[int]
Pairs = list[tuple[int, int]]
FILTER_RATE_HZ = 25.0  # the library's noise constants are for one frame of ordinary video
PRIOR_MEAN, PRIOR_DEVIATION = 0.25, 0.06  # of distances between different people, until some were seen together
LEARNING_RATE = 0.02  # a frame; at first all frames so far count the same
SLACK_SEEN, SLACK_LOST = 0.25, 0.5  # heights that a person may be off the prediction: seen lately, or lost
DOWN_ASPECT = 0.8  # width to height of the box of somebody who falls; walkers have 0.3 to 0.6
FALL_SPEED = 0.01  # heights a frame, downwards, from which on that is a fall: a quarter of the height in a second
VELOCITY_NOISE = 1 / 320  # heights a frame: 0.4 heights/s of change in a second, people's; the library has twice that


class PersonTracker:
    """Detections of one stream, frame by frame → tracks. Not thread-safe."""

    def __init__(self, config: TrackerConfig | None = None, first_track_id: int = 1) -> None:
        if first_track_id < 1:
            raise ValueError(f"first_track_id must be 1 or more, got {first_track_id}")
        self._config = config or TrackerConfig()
        self._epoch: int | None = None
        self._library = _LibraryTracker(self._config, first_track_id)

    @property
    def next_track_id(self) -> int:
        """The ID that the next new person gets; hand it to the next tracker of this stream."""
        return int(self._library._next_id)

    def expected(self, time_s: float) -> Floats:
        """(M, 4) boxes where visible people should be at ``time_s``, a hint for ``needs_appearance``.

        People whose gallery is due for a new feature are left out, so that they get one.
        """
        clock = self._library.clock
        fresh = [
            track
            for track in self._library.tracks
            if time_s - track.feature_s < self._config.refresh_s and time_s - track.seen_s <= clock.coast_s
        ]
        return _boxes_at(fresh, time_s)

    def update(self, frame: Frame, detections: Detections | None) -> tuple[Track, ...]:
        """Tracks of this frame: tentative and confirmed people, unseen ones for at most ``coast_s``.

        None says that this frame was not detected by design: everybody moves on by the Kalman prediction. A new
        ``frame.epoch`` starts again with no tracks; IDs go on.
        """
        if frame.epoch != self._epoch:
            self._epoch = frame.epoch
            self._library = _LibraryTracker(self._config, self.next_track_id)
        if detections is not None:
            self._library.advance(frame.time_s)
            self._library.update(_to_library(detections, self._config))
        visible = [track for track in self._library.tracks if self._is_visible(track, frame)]
        return tuple(self._report(track, frame.time_s) for track in visible)

    def _is_visible(self, track: _PersonTrack, frame: Frame) -> bool:
        """Seen just now, or unseen for a short time and still inside the picture."""
        unseen_s = frame.time_s - track.seen_s
        if unseen_s <= 0 or track.seen_s == self._library.clock.time_s:
            return True
        clock = self._library.clock
        limit_s = clock.coast_s if track.is_confirmed() else clock.tentative_s
        return unseen_s <= limit_s and _is_inside(track.box_at(frame.time_s), frame.size_hw, self._config.border)

    def _report(self, track: _PersonTrack, time_s: float) -> Track:
        state = TrackState.CONFIRMED if track.is_confirmed() else TrackState.TENTATIVE
        coasting_s = max(0.0, time_s - track.seen_s)
        return Track(int(track.track_id), track.report_at(time_s), state, track.confidence, coasting_s)


class _MediaTimeFilter(kalman_filter.KalmanFilter):  # type: ignore[misc]  # the library has no types
    """The library's filter over any time step; ``steps`` is in frames of ``FILTER_RATE_HZ``."""

    def __init__(self) -> None:
        super().__init__()
        self._std_weight_velocity = VELOCITY_NOISE
        self.steps = 1.0

    def predict(self, mean: NDArray[np.float64], covariance: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
        """Constant velocity; the noise of independent steps adds up, so variances grow with time."""
        motion = np.eye(8)
        motion[:4, 4:] = np.eye(4) * self.steps
        position, velocity = self._std_weight_position * mean[3], self._std_weight_velocity * mean[3]
        deviations = np.array([position, position, 1e-2, position, velocity, velocity, 1e-5, velocity])
        noise = np.diag(np.square(deviations) * self.steps)
        return motion @ mean, motion @ covariance @ motion.T + noise


class _PersonTrack(library_track.Track):  # type: ignore[misc]  # the library has no types
    """The library's track, with ages in media time and features that may be missing (NaN)."""

    def __init__(self, *arguments: object, **named: object) -> None:
        super().__init__(*arguments, **named)
        self.clock: TrackerClock = self.others  # the library hands "others" from detection to track untouched
        self.born_s = self.seen_s = self.predicted_s = self.clock.time_s
        self.feature_s = self.clock.time_s if np.isfinite(self.features[-1][0]) else -np.inf
        self.confidence = float(self.det_conf)
        self.down = False

    def predict(self, kf: _MediaTimeFilter) -> None:
        """An unseen person keeps walking but neither grows nor changes shape, as in ByteTrack; who fell stays there."""
        if self.seen_s < self.predicted_s:
            self.mean[6:] = 0.0
            if self.down:
                self.mean[4:6] = 0.0
        super().predict(kf)
        self.predicted_s = self.clock.time_s

    def update(self, kf: _MediaTimeFilter, detection: Detection) -> None:
        """Take a detection; confirm after enough hits over enough time."""
        if np.isfinite(detection.feature[0]):
            self.feature_s = self.clock.time_s
        super().update(kf, detection)
        self.seen_s, self.confidence = self.clock.time_s, float(detection.confidence)
        low = detection.ltwh[2] >= DOWN_ASPECT * detection.ltwh[3]
        self.down = bool(low and self.mean[5] >= FALL_SPEED * self.mean[3])
        if self.hits >= self._hits_wanted() and self.seen_s - self.born_s >= self.clock.config.confirm_s:
            self.state = library_track.TrackState.Confirmed

    def _hits_wanted(self) -> int:
        """Two where detections are rare and this one is sure: a third would come too late to be of use."""
        config = self.clock.config
        sure = self.clock.interval_s >= config.rare_s and self.confidence >= config.strong
        return min(2, config.confirm_hits) if sure else config.confirm_hits

    def mark_missed(self) -> None:
        limit_s = self.clock.memory_s if self.is_confirmed() else self.clock.tentative_s
        if self.clock.time_s - self.seen_s > limit_s:
            self.state = library_track.TrackState.Deleted

    def box_at(self, time_s: float) -> Floats:
        """(4,) corners by the filter, carried on to ``time_s`` at constant velocity."""
        steps = (time_s - self.predicted_s) * FILTER_RATE_HZ
        x, y, aspect, height = self.mean[:4] + self.mean[4:] * steps
        height = max(float(height), 1.0)
        half_width = max(float(aspect), 0.05) * height / 2
        return np.array([x - half_width, y - height / 2, x + half_width, y + height / 2], np.float32)

    def report_at(self, time_s: float) -> Floats:
        """(4,) corners to show: half way between detection and filter where there was a detection.

        The filter lags behind people who turn or speed up, the detector trembles; their mean does less of both.
        """
        box = self.box_at(time_s)
        if self.original_ltwh is None or time_s > self.seen_s:
            return box
        return np.asarray((box + ltwh_to_xyxy(self.original_ltwh)) / 2, np.float32)


class _Gallery(nn_matching.NearestNeighborDistanceMetric):  # type: ignore[misc]  # the library has no types
    """The library's gallery, without detections whose appearance was not computed.

    How close two different people look depends on the network and the camera, so it is learnt from people who are
    seen at the same time: mean and deviation of the distance from a person's vector to other people's galleries.
    """

    def __init__(self, budget: int) -> None:
        super().__init__("cosine", 1.0, budget)
        self._mean, self._variance, self._frames = PRIOR_MEAN, PRIOR_DEVIATION**2, 1

    def learn(self, others: NDArray[np.float64]) -> None:
        """Take in (K,) distances between people known to be different."""
        if len(others):
            self._frames += 1
            rate = max(LEARNING_RATE, 1 / self._frames)
            self._mean += rate * (float(np.mean(others)) - self._mean)
            self._variance += rate * (float(np.mean((others - self._mean) ** 2)) - self._variance)

    def limit(self, certainty: float) -> float:
        """The largest distance that is still ``certainty`` deviations below that of different people."""
        return max(self._mean - certainty * float(np.sqrt(self._variance)), 0.1 * self._mean)

    def partial_fit(self, features: NDArray[np.float32], targets: NDArray[np.str_], active_targets: list[str]) -> None:
        known = [index for index, feature in enumerate(features) if np.isfinite(feature[0])]
        for target in active_targets:
            self.samples.setdefault(target, [])
        super().partial_fit([features[i] for i in known], [targets[i] for i in known], active_targets)

    def distances(self, targets: Sequence[str], features: NDArray[np.float32]) -> NDArray[np.float64]:
        """(T,) targets, (D, F) features → (T, D) cosine distances; NaN where either side has no feature."""
        result = np.full((len(targets), len(features)), np.nan)
        known = np.flatnonzero(np.isfinite(features[:, 0])) if len(features) else np.empty(0, np.intp)
        for row, target in enumerate(targets):
            samples = self.samples.get(target)
            if samples and len(known):
                result[row, known] = self._metric(samples, features[known])
        return result


class _LibraryTracker(library_tracker.Tracker):  # type: ignore[misc]  # the library has no types
    """The library's tracker with its matching replaced."""

    tracks: list[_PersonTrack]

    def __init__(self, config: TrackerConfig, first_track_id: int) -> None:
        super().__init__(_Gallery(config.nn_budget), n_init=1 << 30, override_track_class=_PersonTrack)
        self.kf = _MediaTimeFilter()
        self.clock = TrackerClock(config)
        self._next_id = first_track_id
        self._first = True

    def advance(self, time_s: float) -> None:
        """Predict every track from the last detected frame to ``time_s``."""
        self.kf.steps = max(0.0, time_s - self.clock.time_s) * FILTER_RATE_HZ
        self.clock.advance(time_s)
        self.predict()

    def update(self, detections: list[Detection], today: None = None) -> None:
        """The library's update; who is there in the first picture is there for sure, as in ByteTrack."""
        super().update(detections, today)
        if self._first:
            self._first = False
            for track in self.tracks:
                track.state = library_track.TrackState.Confirmed

    def _initiate_track(self, detection: Detection) -> None:
        detection.others = self.clock
        super()._initiate_track(detection)

    def _match(self, detections: list[Detection]) -> tuple[Pairs, Indices, Indices]:
        """→ matched (track, detection) pairs, unmatched tracks, and the detections that start new tracks."""
        config, now = self.clock.config, self.clock.time_s
        strong = [i for i, d in enumerate(detections) if d.confidence >= config.strong]
        weak = [i for i, d in enumerate(detections) if d.confidence < config.strong]
        tentative = [i for i, t in enumerate(self.tracks) if not t.is_confirmed()]
        recent = [i for i, t in enumerate(self.tracks) if t.is_confirmed() and now - t.seen_s <= self.clock.coast_s]
        pairs, left, strong = self._assign(self._fused_cost, config.max_iou_distance, detections, recent, strong)
        more, left, _ = self._assign(_iou_cost, config.max_weak_iou_distance, detections, left, weak)
        pairs += more
        young, tentative, strong = self._assign(_iou_cost, config.max_iou_distance, detections, tentative, strong)
        if self.clock.interval_s >= config.rare_s:
            far, _, strong = self._assign(self._walk_cost, 1.0, detections, [*left, *tentative], strong)
            pairs += far
        matched = {track for track, _ in pairs}
        lost = [i for i, t in enumerate(self.tracks) if t.is_confirmed() and i not in matched]
        back, _, strong = self._assign(self._return_cost, self._looks_limit(), detections, lost, strong)
        pairs += young + back
        taken = {track for track, _ in pairs}
        self._learn_looks(detections, pairs)
        starting = [i for i in strong if detections[i].confidence >= config.start]
        return pairs, [i for i in range(len(self.tracks)) if i not in taken], starting

    def _assign(
        self, cost: object, limit: float, detections: list[Detection], tracks: Indices, chosen: Indices
    ) -> tuple[Pairs, Indices, Indices]:
        """The library's assignment over subsets → pairs, tracks left, detections left."""
        pairs, left, unmatched = linear_assignment.min_cost_matching(
            cost, limit, self.tracks, detections, tracks, chosen
        )
        return list(pairs), list(left), list(unmatched)

    def _fused_cost(
        self, tracks: list[_PersonTrack], detections: list[Detection], rows: Indices, columns: Indices
    ) -> NDArray[np.float64]:
        """(R, C): overlap, shifted by appearance where that is known and overlap is possible."""
        config = self.clock.config
        cost = _iou_cost(tracks, detections, rows, columns)
        possible = cost <= config.max_iou_distance
        looks = self._appearance(tracks, detections, rows, columns) / self._looks_limit()
        weight = config.appearance_weight
        fused = np.where(np.isnan(looks), cost, (1 - weight) * cost + weight * np.minimum(looks, 1.5))
        return np.where(possible, np.minimum(fused, config.max_iou_distance), 2.0)

    def _walk_cost(
        self, tracks: list[_PersonTrack], detections: list[Detection], rows: Indices, columns: Indices
    ) -> NDArray[np.float64]:
        """(R, C): how much of the way that a person can have walked, shifted by appearance where that is known.

        For detections so rare that people leave their boxes between two of them.
        """
        ways = np.array(
            [[self._way(tracks[row], detections[column], SLACK_SEEN) for column in columns] for row in rows]
        )
        looks = self._appearance(tracks, detections, rows, columns) / self._looks_limit()
        mixed = np.where(np.isnan(looks), ways, (ways + np.minimum(looks, 2.0)) / 2)
        return np.where(ways <= 1.0, mixed, 2.0)

    def _return_cost(
        self, tracks: list[_PersonTrack], detections: list[Detection], rows: Indices, columns: Indices
    ) -> NDArray[np.float64]:
        """(R, C): cosine distance where a lost person can have walked to the detection, else out of reach."""
        cost = self._appearance(tracks, detections, rows, columns)
        for row, index in enumerate(rows):
            for column, chosen in enumerate(columns):
                if self._way(tracks[index], detections[chosen], SLACK_LOST) > 1.0:
                    cost[row, column] = np.nan
        return np.where(np.isnan(cost), 2.0, cost)

    def _way(self, track: _PersonTrack, detection: Detection, slack: float) -> float:
        """Distance between prediction and detection, as a share of how far the person can have walked unseen.

        ``slack``: heights that are granted without any time. 2 for somebody of another height.
        """
        x, y, _, height = detection.to_xyah()
        known_height = max(float(track.mean[3]), 1.0)
        if not 0.6 < height / known_height < 1.67:
            return 2.0
        unseen_s = float(self.clock.time_s - track.seen_s)
        reach = known_height * (slack + self.clock.config.reach_heights_per_s * unseen_s)
        return float(np.hypot(x - track.mean[0], y - track.mean[1]) / reach)

    def _looks_limit(self) -> float:
        return float(self.metric.limit(self.clock.config.certainty))

    def _learn_looks(self, detections: list[Detection], pairs: Pairs) -> None:
        """Every two people seen in one frame are different people."""
        rows, columns = [track for track, _ in pairs], [detection for _, detection in pairs]
        if len(pairs) > 1:
            distances = self._appearance(self.tracks, detections, rows, columns)
            others = distances[~np.eye(len(pairs), dtype=bool)]
            self.metric.learn(others[np.isfinite(others)])

    def _appearance(
        self, tracks: list[_PersonTrack], detections: list[Detection], rows: Indices, columns: Indices
    ) -> NDArray[np.float64]:
        features = _features([detections[i] for i in columns])
        return self.metric.distances([tracks[i].track_id for i in rows], features)  # type: ignore[no-any-return]


def _is_inside(box_xyxy: Floats, size_hw: tuple[int, int], border: float) -> bool:
    """Whether the box keeps clear of the left, right and upper edge; people near a camera are cut by the lower one."""
    height, width = size_hw
    left, top, right = box_xyxy[0], box_xyxy[1], box_xyxy[2]
    return bool(left > border * width and right < (1 - border) * width and top > border * height)


def _iou_cost(
    tracks: list[_PersonTrack], detections: list[Detection], rows: Indices, columns: Indices
) -> NDArray[np.float64]:
    """(R, C): 1 - IoU of predicted boxes and detections."""
    predicted = np.stack([tracks[i].box_at(tracks[i].predicted_s) for i in rows])
    found = np.stack([detections[i].to_tlbr() for i in columns])
    return np.asarray(1.0 - pairwise_iou(predicted, found), np.float64)


def _features(detections: list[Detection]) -> NDArray[np.float32]:
    """→ (N, F); one column of NaN when nothing was computed."""
    return np.stack([d.feature for d in detections]) if detections else np.empty((0, 1), np.float32)


def _boxes_at(tracks: list[_PersonTrack], time_s: float) -> Floats:
    if not tracks:
        return np.empty((0, 4), np.float32)
    return np.stack([track.box_at(time_s) for track in tracks])


def _to_library(detections: Detections, config: TrackerConfig) -> list[Detection]:
    """Entities → the library's detections, without the too weak."""
    chosen = np.flatnonzero(detections.confidences >= config.weak)
    boxes_ltwh = xyxy_to_ltwh(detections.boxes_xyxy[chosen])
    features = detections.features
    missing = np.full(1, np.nan, np.float32)
    return [
        Detection(box, detections.confidences[index], missing if features is None else features[index])
        for box, index in zip(boxes_ltwh, chosen, strict=True)
        if box[2] > 0 and box[3] > 0
    ]
