"""Prometheus exposition of what the child processes measured and what the API process knows.

Counters of a child that was started again begin at zero; what its predecessors counted is kept and added, so a counter
never goes back.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

GAUGE_HELP = {
    "fps_in": "Frames decoded a second",
    "fps_out": "Frames that went through all stages a second",
    "detection_stride": "The detector runs on every n-th frame",
    "label_age_seconds": "Age of the oldest label shown for a present track",
    "tracks": "People tracked now",
    "clip_queue_depth": "Clips that wait for the classifier",
    "frame_queue_depth": "Frames that wait for the detector",
    "clip_oldest_wait_seconds": "How long the track that waits longest is without a new label",
    "loans_taken": "Streams whose clips another node classifies",
    "loans_given": "Streams of other nodes whose clips are classified here",
    "lent_clips_waiting": "Clips of other nodes that were offered and not asked for yet",
    "stem_tracks": "People whose next clip can reuse features of the last",
    "stem_memory_bytes": "What these features take",
    "model_version": "Number of the version of its model that the stream works with",
    "connections": "Streams connected to the inference process",
    "restarts": "Restarts of the process by the supervisor",
    "up": "1 while the stream is running; none for one that is not to run",
    "subscribers": "Websocket subscribers",
    "mqtt_connected": "1 while the MQTT broker is reached",
    "sinks_disabled": "Sinks that were given up: nothing arrived there",
    "training_running": "1 while a training runs",
    "training_paused": "1 while it waits because people's labels come late",
    "bucket_uploads_pending": "Files that are to go to the bucket",
    "bucket_uploads_pending_bytes": "Bytes of the files that are to go to the bucket",
    "bucket_uploads_oldest_seconds": "How long the file that waits longest for the bucket does",
    "bucket_deletions_pending": "Objects that are to be deleted in the bucket",
    "bucket_missing": "Files that were in the bucket, are not, and are nowhere else",
    "bucket_failing": "1 while the bucket does not take files",
    "outbox_pending": "Messages that wait for their sinks",
    "outbox_oldest_seconds": "Age of the oldest message that waits for an enabled sink",
}

CAUSE_LABELS = {"deliveries_total": "result"}  # what stands behind the colon of a counter's name, where it is no cause


Measured = tuple[str, dict[str, str], Mapping[str, Any], "CounterKeeper"]  # name prefix, labels, snapshot, keeper
Source = Callable[[], Measured]  # asked at each scrape


class CounterKeeper:
    """Adds up the counters and histograms of one name over the lives of a restarted process."""

    def __init__(self) -> None:
        self._past: dict[str, float] = {}
        self._last: dict[str, float] = {}

    def total(self, name: str, value: float) -> float:
        """→ the value plus what earlier lives counted."""
        last = self._last.get(name, 0.0)
        if value < last:
            self._past[name] = self._past.get(name, 0.0) + last
        self._last[name] = value
        return value + self._past.get(name, 0.0)


def source(prefix: str, snapshot: Callable[[], Mapping[str, Any]]) -> Source:
    """→ measures of something that lives as long as this process, as ``exposition`` takes them."""
    keeper = CounterKeeper()
    return lambda: (prefix, {}, snapshot(), keeper)


def disk_measures(folder: Path) -> dict[str, Any]:
    """→ a snapshot of the disk that a folder lies on; nothing where it cannot be asked."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return {}
    return {"gauges": {"disk_free_bytes": usage.free, "disk_size_bytes": usage.total}}


class SnapshotCollector(Collector):
    """Turns labelled snapshots (see ``Measures.snapshot``) into metric families, one family a name."""

    def __init__(self, items: Iterable[Measured]) -> None:
        self._items = list(items)
        self._families: dict[str, Metric] = {}
        self._prefix = ""

    def collect(self) -> Iterator[Metric]:
        self._families = {}
        for prefix, labels, snapshot, keeper in self._items:
            self._prefix = f"actoscope_{prefix}"
            self._add_counters(labels, snapshot.get("counters", {}), keeper)
            self._add_gauges(labels, snapshot.get("gauges", {}))
            self._add_histograms(labels, snapshot.get("histograms", {}), keeper)
        yield from self._families.values()

    def _add_counters(self, labels: dict[str, str], counters: Mapping[str, float], keeper: CounterKeeper) -> None:
        for full_name, value in counters.items():
            name, _, cause = full_name.partition(":")
            keys = {**labels, CAUSE_LABELS.get(name, "cause"): cause} if cause else labels
            help_text = f"{name.removesuffix('_total').replace('_', ' ')} since the service started"
            key = f"{self._prefix}{name.removesuffix('_total')}"
            family = self._families.setdefault(key, CounterMetricFamily(key, help_text, labels=list(keys)))
            _add(family, list(keys.values()), keeper.total(full_name, value))

    def _add_gauges(self, labels: dict[str, str], gauges: Mapping[str, float]) -> None:
        for name, value in gauges.items():
            key = f"{self._prefix}{name}"
            family = GaugeMetricFamily(key, GAUGE_HELP.get(name, name.replace("_", " ")), labels=list(labels))
            _add(self._families.setdefault(key, family), list(labels.values()), value)

    def _add_histograms(
        self, labels: dict[str, str], histograms: Mapping[str, Mapping[str, Any]], keeper: CounterKeeper
    ) -> None:
        for full_name, data in histograms.items():
            name, _, part = full_name.partition(":")
            key, keys = _histogram_name(self._prefix, name, part, labels)
            family = self._families.setdefault(
                key, HistogramMetricFamily(key, _histogram_help(name), labels=list(keys))
            )
            buckets, running = [], 0.0
            for bound, count in zip([*data["bounds"], "+Inf"], data["counts"], strict=True):
                running += keeper.total(f"{full_name}/{bound}", count)
                buckets.append((str(bound), running))
            total = keeper.total(f"{full_name}/sum", data["sum"])
            family.add_metric(list(keys.values()), buckets, total)  # type: ignore[attr-defined]


def _histogram_name(prefix: str, name: str, part: str, labels: dict[str, str]) -> tuple[str, dict[str, str]]:
    if name == "stage":
        return f"{prefix}stage_seconds", {**labels, "stage": part}
    if name == "batch":
        return f"{prefix}batch_size", {**labels, "stage": part}
    return f"{prefix}{name}_seconds", labels


def _histogram_help(name: str) -> str:
    texts = {
        "stage": "Latency of one stage",
        "batch": "Items in one batch",
        "label_latency": "From the capture of a clip's newest frame to its label",
        "label_interval": "Media time between two labels of one track (hop 16 at 25 crops/s is 0.64 s)",
        "delivery": "One attempt to send a message to a sink",
        "borrowed_delay": "From the offer of a clip to another node to its answer",
        "frame_age": "From the receipt of a frame to its result",
    }
    return texts.get(name, name)


def _add(family: Metric, label_values: list[str], value: float) -> None:
    family.add_metric(label_values, value)  # type: ignore[attr-defined]


def exposition(items: Iterable[Measured]) -> bytes:
    """→ the text that ``/metrics`` answers."""
    registry = CollectorRegistry()
    registry.register(SnapshotCollector(items))
    return generate_latest(registry)
