from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from models.data.clip_file import write_clip
from models.data.manifest import ClipRecord, Dataset, DatasetInfo, Split, class2label
from models.errors import ExportError
from models.exports.parity import measure
from models.exports.parity_clips import ParityClip, ParityClips, dataset_clips, evenly, video_clips
from models.runtimes.host import describe_host
from models.runtimes.runner import Clips, Floats
from models.weights.cards import ModelCard, ModelInput
from pipeline.entities import Detections, Frame
from tests.models.street_clips import street_clips
from tests.support.places import STREET

LABELS = ("dark", "light")
SHA = "0" * 64


class Scripted:
    """Says ``light`` by the mean of a clip; ``shift`` is added to its first logit."""

    preferred_batch = 1

    def __init__(self, description: str, shift: float = 0.0) -> None:
        self.description, self.shift = description, shift
        self.boxes: list[Floats | None] = []

    def __call__(self, clips: Clips, boxes: Floats | None = None) -> Floats:
        self.boxes.append(boxes)
        light = clips.mean(axis=(1, 2, 3, 4)) / 255
        return np.stack([1 - light + self.shift, light], axis=1).astype(np.float32)


def clips_of(values: list[int], targets: list[int | None]) -> ParityClips:
    def item(value: int, target: int | None) -> ParityClip:
        return ParityClip(np.full((9, 32, 32, 3), value, np.uint8), target=target)

    pairs = zip(values, targets, strict=True)
    return ParityClips("made up", tuple(lambda pair=pair: item(*pair) for pair in pairs))  # type: ignore[misc]


def card(**changes: Any) -> ModelCard:
    facts: dict[str, Any] = {"name": "net", "kind": "se_i3d", "num_classes": 2, "provenance": "test", "licence": "none"}
    form = ModelInput(frames=9, height=32, width=32, **changes)
    return ModelCard(**facts, input=form, sha256={"model.keras": SHA, "labels.txt": SHA}, labels=LABELS)


def test_parity_counts_differences_agreement_and_labelled_clips() -> None:
    clips = clips_of([0, 100, 140, 255], [0, 0, None, 1])
    seen: list[tuple[int, int]] = []
    found = measure(Scripted("slow"), Scripted("fast", 0.2), clips, lambda *at: seen.append(at))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert (found.clips, found.source, found.reference, found.runner) == (4, "made up", "slow", "fast")
    assert found.max_logit_difference == pytest.approx(0.2, abs=1e-6)
    assert found.mean_logit_difference == pytest.approx(0.1, abs=1e-6)
    assert found.top1_agreement == 0.75  # 140 is light by a hair, and the shift makes it dark
    assert found.reference_accuracy == 1.0 and found.accuracy == 1.0 and found.accuracy_change == 0
    assert found.passes is False
    assert found.latency_ms > 0 and found.reference_latency_ms > 0
    assert found.host == describe_host()


def test_parity_of_wrong_answers_tells_the_accuracy_lost() -> None:
    found = measure(Scripted("slow"), Scripted("fast", 5.0), clips_of([0, 255], [0, 1]))
    assert found.accuracy_change == -0.5
    without_labels = measure(Scripted("slow"), Scripted("fast"), clips_of([0, 255], [None, None]))
    assert without_labels.accuracy is None and without_labels.accuracy_change is None
    assert without_labels.top1_agreement == 1.0 and without_labels.passes is True


def test_parity_refuses_answers_that_are_no_numbers_and_no_clips() -> None:
    with pytest.raises(ExportError, match="fast gives logits that are no finite numbers"):
        measure(Scripted("slow"), Scripted("fast", float("nan")), clips_of([0], [0]))
    with pytest.raises(ValueError, match="at least one clip"):
        measure(Scripted("slow"), Scripted("fast"), ParityClips("none", ()))


def test_parity_hands_a_scenes_box_to_both() -> None:
    box = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
    pixels = np.zeros((9, 32, 32, 3), np.uint8)
    runners = Scripted("slow"), Scripted("fast")
    measure(*runners, ParityClips("scene", (lambda: ParityClip(pixels, box),)))
    for runner in runners:
        np.testing.assert_array_equal(runner.boxes[0], box[None])


def test_halves_share_no_clip_and_evenly_spreads() -> None:
    clips = clips_of([1, 2, 3, 4, 5], [None] * 5)
    early, late = clips.halves()
    assert [int(clip.pixels[0, 0, 0, 0]) for half in (early, late) for clip in half] == [1, 2, 3, 4, 5]
    assert (len(early), len(late), late.source) == (2, 3, "made up, later half")
    assert evenly(range(9), 3) == [0, 4, 8]
    assert evenly([1, 2], 3) == evenly([1, 2], None) == [1, 2]


def data_set(folder: Path, clips: NDArray[np.uint8], labels: list[str]) -> Dataset:
    records = []
    for number, (clip, label) in enumerate(zip(clips, labels, strict=True)):
        path = folder / f"{number}.mp4"
        write_clip(path, clip, 25.0)
        records.append(ClipRecord(path, label, f"g{number}", Split.VAL))
    form = ModelInput(frames=9, height=32, width=32)
    return Dataset(folder, DatasetInfo(class2label=class2label(LABELS), input=form), tuple(records))


def test_dataset_clips_are_cut_as_the_network_reads_them_with_their_labels(tmp_path: Path) -> None:
    street = street_clips(4, 20, 40)
    data = data_set(tmp_path, street, ["light", "Unclear", "dark", "light"])
    clips = dataset_clips(data, card(), Split.VAL)
    found = list(clips)
    assert [clip.target for clip in found] == [1, 0, 1]
    assert {clip.pixels.shape for clip in found} == {(9, 32, 32, 3)}
    assert np.abs(found[0].pixels.mean((1, 2)) - street[0, 5:14].mean((1, 2))).max() < 3  # its middle, made smaller
    assert clips.source == f"{tmp_path.name}, split val"
    assert len(dataset_clips(data, card(), Split.VAL, 2)) == 2


def test_dataset_clips_that_cannot_serve_say_why(tmp_path: Path) -> None:
    data = data_set(tmp_path, street_clips(2, 9, 32), ["light", "grey"])
    with pytest.raises(ExportError, match="labels that net does not know: grey"):
        dataset_clips(data, card(), Split.VAL)
    with pytest.raises(ExportError, match="split 'test': no labelled clip"):
        dataset_clips(data, card(), Split.TEST)
    with pytest.raises(ExportError, match="sees whole scenes, data sets hold crops"):
        dataset_clips(data, card(kind="scene"), Split.VAL)


def excerpt(path: Path, frames: int) -> Path:
    """The beginning of the sample, so that the test does not decode all of it."""
    with av.open(str(STREET)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is None or (frames := frames - 1) < 0:
                break
            packet.stream = stream
            target.mux(packet)
    return path


def somebody(frame: Frame, _expected: Floats) -> Detections:
    """One person who walks through the picture; the detector itself has its own tests."""
    x = 100 + 40 * frame.time_s
    return Detections(np.array([[x, 200, x + 60, 340]], np.float32), np.array([0.9], np.float32))


@pytest.mark.parametrize("kind", ["crops", "scene"])
def test_video_clips_are_what_the_service_would_classify(kind: str, tmp_path: Path) -> None:
    video = excerpt(tmp_path / "street.mp4", 40)
    clips = video_clips(video, somebody, card(kind=kind), 3)
    found = list(clips)
    assert len(found) == len(clips) == 3
    assert clips.source == "people in street.mp4"
    assert {(clip.pixels.shape, str(clip.pixels.dtype), clip.target) for clip in found} == {
        ((9, 32, 32, 3), "uint8", None)
    }
    assert np.abs(found[0].pixels.astype(int) - found[2].pixels).max() > 50  # another time
    assert all((clip.box is not None) == (kind == "scene") for clip in found)


def test_video_clips_of_an_empty_street_are_an_error(tmp_path: Path) -> None:
    def nobody(_frame: Frame, _expected: Floats) -> Detections:
        return Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))

    with pytest.raises(ExportError, match="shows nobody for as long as net must see a person"):
        video_clips(excerpt(tmp_path / "street.mp4", 12), nobody, card(), 3)
