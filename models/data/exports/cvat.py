"""Person tracks and actions as "CVAT for video 1.1" XML, which ``models.data.imports.cvat`` reads back as it was.

Every box is written as a keyframe with the attribute ``action``; where a person is not in view, the first frame
without a box says ``outside``. Frames count from 1 here and from 0 there, as do people.
https://docs.cvat.ai/docs/manual/advanced/xml_format/
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO
from xml.sax.saxutils import XMLGenerator
from xml.sax.xmlreader import AttributesImpl

from models.data.imports.cvat import ACTION_ATTRIBUTE, ActionRange
from models.data.imports.motchallenge import BoxTrack
from models.errors import DatasetError
from pipeline.entities import Floats
from pipeline.files import write_atomically

PERSON = "person"  # the label of every track; what people do is an attribute
_SIDES = ("xtl", "ytl", "xbr", "ybr")


def write_cvat(
    path: Path,
    tracks: Sequence[BoxTrack],
    labels: Sequence[ActionRange],
    size_hw: tuple[int, int],
    frames: int,
    source: str = "",
) -> None:
    """Whole or not at all. ``labels``: who does what from which frame to which; they must not overlap for one person.

    ``frames`` of the video, which is called ``source``; ``size_hw`` of its pictures in pixels. Raises DatasetError for
    a person without number (from 1), one that occurs twice, and a box behind the last frame; OSError.
    """
    numbers = [track.track_id for track in tracks]
    if min(numbers, default=1) < 1 or len(set(numbers)) < len(numbers):
        raise DatasetError(f"expected people numbered from 1, each once, got {numbers}")
    if any(not 1 <= frame <= frames for track in tracks for frame in track.boxes):
        raise DatasetError(f"expected boxes in the frames 1 to {frames}")
    by_track = _actions(labels)
    used = sorted({action for ranges in by_track.values() for action in ranges.values()})

    def write(file: IO[bytes]) -> None:
        xml = _Xml(file)
        with xml.element("annotations"):
            xml.text("version", "1.1")
            _write_meta(xml, used, size_hw, frames, source)
            for track in tracks:
                _write_track(xml, track, by_track[track.track_id], frames)
        xml.end()

    write_atomically(path, write)


def _actions(labels: Sequence[ActionRange]) -> defaultdict[int, dict[int, str]]:
    """→ person → frame → what he does."""
    found: defaultdict[int, dict[int, str]] = defaultdict(dict)
    for each in labels:
        found[each.track_id].update(dict.fromkeys(range(each.start, each.end + 1), each.label))
    return found


class _Element:
    """Closed at the end of its ``with``."""

    def __init__(self, generator: XMLGenerator, name: str) -> None:
        self._generator, self._name = generator, name

    def __enter__(self) -> None:
        """It was begun when it was made."""

    def __exit__(self, *_: object) -> None:
        self._generator.endElement(self._name)
        self._generator.ignorableWhitespace("\n")


class _Xml:
    """Elements one after the other, none kept in memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._generator = XMLGenerator(file, "utf-8", short_empty_elements=True)
        self._generator.startDocument()

    def element(self, name: str, /, **attributes: object) -> _Element:
        given = {key: _clean(str(value)) for key, value in attributes.items()}
        self._generator.startElement(name, AttributesImpl(given))
        return _Element(self._generator, name)

    def text(self, name: str, content: object, /, **attributes: object) -> None:
        with self.element(name, **attributes):
            self._generator.characters(_clean(str(content)))

    def end(self) -> None:
        self._generator.endDocument()


def _clean(text: str) -> str:
    """→ without what XML cannot hold."""
    return "".join(sign for sign in text if sign in "\t\n\r" or " " <= sign < "\ud800" or "\ue000" <= sign < "\ufffe")


def _write_meta(xml: _Xml, actions: Sequence[str], size_hw: tuple[int, int], frames: int, source: str) -> None:
    with xml.element("meta"):
        with xml.element("task"):
            xml.text("name", source)
            xml.text("size", frames)
            xml.text("mode", "interpolation")
            xml.text("start_frame", 0)
            xml.text("stop_frame", max(0, frames - 1))
            with xml.element("labels"), xml.element("label"):
                xml.text("name", PERSON)
                with xml.element("attributes"), xml.element("attribute"):
                    xml.text("name", ACTION_ATTRIBUTE)
                    xml.text("mutable", "True")
                    xml.text("input_type", "select")
                    xml.text("default_value", "")
                    xml.text("values", "\n".join(["", *actions]))
            with xml.element("original_size"):
                xml.text("width", size_hw[1])
                xml.text("height", size_hw[0])
        xml.text("source", source)


def _write_track(xml: _Xml, track: BoxTrack, actions: dict[int, str], frames: int) -> None:
    with xml.element("track", id=track.track_id - 1, label=PERSON, source="auto"):
        for frame, box, outside in _shapes(track, frames):
            sides = {name: f"{side:.2f}" for name, side in zip(_SIDES, box, strict=True)}
            flags = {"outside": int(outside), "occluded": 0, "keyframe": 1, "z_order": 0}
            with xml.element("box", frame=frame - 1, **flags, **sides):
                xml.text("attribute", "" if outside else actions.get(frame, ""), name=ACTION_ATTRIBUTE)


def _shapes(track: BoxTrack, frames: int) -> Iterator[tuple[int, Floats, bool]]:
    """→ frame, box and whether the person is out of view from there on."""
    for frame, box in sorted(track.boxes.items()):
        yield frame, box, False
        if frame < frames and frame + 1 not in track.boxes:
            yield frame + 1, box, True
