"""Person tracks and actions from CVAT's "CVAT for video 1.1" XML.

    <annotations>…<track id="0" label="person"><box frame="0" outside="0" xtl=… ytl=… xbr=… ybr=…>
    <attribute name="action">Walking</attribute></box>…</track></annotations>

Frames count from 0 there, from 1 here. Between two boxes of a track the box moves on a straight line, as CVAT draws
it; from a box with ``outside="1"`` on there is none. What a person does is the attribute ``action`` of the box (or of
the track), and where there is none the track's label. https://docs.cvat.ai/docs/manual/advanced/xml_format/

"CVAT for images 1.1" is read where the boxes have an attribute ``track_id``; other formats are refused by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

from models.data.imports.cvat_shapes import READ_SHAPES, Shape, read_shape, shapes_in
from models.data.imports.motchallenge import BoxTrack, between, raise_problems
from models.errors import DatasetError
from pipeline.entities import Floats

ACTION_ATTRIBUTE, TRACK_ATTRIBUTE = "action", "track_id"
LONGEST_HOLE = 100_000  # frames between two boxes, over an hour: CVAT itself writes every frame
_OTHER_ROOTS = {"annotation": "PASCAL VOC or LabelMe", "opencv_storage": "OpenCV", "tagset": "a ViPER file"}
_EXPECTED = 'export as "CVAT for video 1.1", people as tracks of boxes'


@dataclass(frozen=True, slots=True)
class ActionRange:
    """What one person does from frame ``start`` to ``end`` (from 1, both included)."""

    track_id: int
    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class CvatTracks:
    """The content of one file. ``source``: name of the video it was made for, empty where the file does not say.

    ``notes``: a sentence for each kind of thing that was left out.
    """

    source: str
    tracks: tuple[BoxTrack, ...]
    actions: tuple[ActionRange, ...]
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Reading:
    """A file on its way."""

    source: str = ""
    tracks: dict[int, list[Shape]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    placed: set[tuple[int, int]] = field(default_factory=set)  # person and frame of every box in an image
    images: bool = False  # every picture was annotated by itself: nothing moves between two


def read_cvat(path: Path) -> CvatTracks:
    """Read a file element by element. Raises DatasetError: another format, everything that is wrong, nobody in it."""
    reading = _Reading()
    try:
        _read(path, reading)
    except DatasetError:
        raise
    except (OSError, ElementTree.ParseError, LookupError, ValueError) as error:  # the last two: an unknown encoding
        raise DatasetError(f"{path} is no CVAT XML that can be read: {error}") from error
    raise_problems(f"{path}: {text}" for text in reading.problems)
    notes = tuple(f"{path}: left out, {what}: {count}" for what, count in reading.left_out.items())
    people = {number: shapes for number, shapes in sorted(reading.tracks.items()) if any(not s.outside for s in shapes)}
    if not people:
        found = "; ".join(f"{what}: {count}" for what, count in reading.left_out.items()) or "no track in it"
        raise DatasetError(f"{path} holds nobody ({found}); {_EXPECTED}")
    tracks = tuple(BoxTrack(number, _every_frame(shapes, reading.images)) for number, shapes in people.items())
    actions = tuple(each for number, shapes in people.items() for each in _ranges(number, shapes, reading.images))
    return CvatTracks(reading.source, tracks, actions, notes)


def _read(path: Path, reading: _Reading) -> None:
    # expat bounds the expansion of entities itself, and fetches nothing from outside
    events = ElementTree.iterparse(path, events=("start", "end"))  # noqa: S314
    _, root = next(events)
    if root.tag != "annotations":
        kind = _OTHER_ROOTS.get(root.tag, f"an XML file of <{root.tag[:40]}>")
        raise DatasetError(f"{path} is {kind}, no CVAT for video; {_EXPECTED}")
    for event, element in events:
        if event == "start":
            continue
        if element.tag == "source" and not reading.source:
            reading.source = (element.text or "").strip()
        elif element.tag == "track":
            _add_track(element, reading)
            element.clear()
        elif element.tag == "image":
            _add_image(element, reading, path)
            element.clear()


def _add_track(track: ElementTree.Element, reading: _Reading) -> None:
    number = _number(track.get("id"), "track: expected a whole number as id", reading)
    action = _attribute(track, ACTION_ATTRIBUTE)
    default = (track.get("label") or "").strip() if action is None else action
    for kind in {each.tag for each in shapes_in(track)} - READ_SHAPES:
        reading.left_out[f"tracks of {kind}, which have no box"] += 1
    shapes: dict[int, Shape] = {}
    where = f"track {track.get('id')}"
    for element in track:
        if element.tag in READ_SHAPES:
            shape = _shape(element, element.get("frame"), default, where, reading)
            if shape is not None:
                shapes[shape.frame] = shape
    ordered = [shapes[frame] for frame in sorted(shapes)]
    if any(second.frame - first.frame > LONGEST_HOLE for first, second in pairwise(ordered) if not first.outside):
        reading.problems.append(f"{where}: over {LONGEST_HOLE} frames between two boxes of a person in view")
    elif number is not None and number in reading.tracks:
        reading.problems.append(f"track {number - 1} occurs twice")
    elif number is not None:
        reading.tracks[number] = ordered


def _add_image(image: ElementTree.Element, reading: _Reading, path: Path) -> None:
    """One picture of CVAT for images. Raises DatasetError for a person of whom nobody knows who it is."""
    reading.images = True
    for element in shapes_in(image):
        if element.tag not in READ_SHAPES:
            reading.left_out[f"{element.tag}, which has no box"] += 1
            continue
        who = _attribute(element, TRACK_ATTRIBUTE)
        if not who:
            raise DatasetError(
                f"{path} is CVAT for images 1.1, whose boxes do not say who is who from picture to picture: {_EXPECTED}"
            )
        where = f"image {image.get('id')}"
        number = _number(who, f"{where}: expected a whole number as track_id", reading)
        shape = _shape(element, image.get("id"), (element.get("label") or "").strip(), where, reading)
        if number is None or shape is None:
            continue
        if (number, shape.frame) in reading.placed:
            reading.problems.append(f"{where}: two boxes of track_id {number - 1}; expected one in a picture")
            continue
        reading.placed.add((number, shape.frame))
        reading.tracks.setdefault(number, []).append(shape)


def _number(text: str | None, expected: str, reading: _Reading) -> int | None:
    """CVAT counts tracks from 0; the ID here is one more, since 0 stands for no person."""
    if text is not None and text.isdecimal() and len(text) < 10:
        return int(text) + 1
    reading.problems.append(f"{expected}, got {text!r}")
    return None


def _shape(
    element: ElementTree.Element, frame: str | None, default: str, where: str, reading: _Reading
) -> Shape | None:
    """None for one that is left out, or wrong. ``default``: its action where it has no such attribute."""
    action = _attribute(element, ACTION_ATTRIBUTE)
    try:
        shape = read_shape(element, frame, default if action is None else action)
    except ValueError as error:
        reading.problems.append(f"{where}, {element.tag} of frame {frame}: {error}")
        return None
    if not shape.outside and not shape.has_area:
        reading.left_out[f"{element.tag} without area"] += 1
        return None
    return shape


def _attribute(element: ElementTree.Element, wanted: str) -> str | None:
    """None where there is none of this name."""
    for attribute in element.iterfind("attribute"):
        if attribute.get("name", "").strip().lower() == wanted:
            return (attribute.text or "").strip()
    return None


def _every_frame(shapes: list[Shape], images: bool) -> dict[int, Floats]:
    """The boxes that are inside, and the straight lines between them."""
    found = {shape.frame: shape.box_xyxy for shape in shapes if not shape.outside}
    for first, second in pairwise(shapes) if not images else ():
        if not first.outside:
            last = first.box_xyxy if second.outside else second.box_xyxy
            found.update(between(first.box_xyxy, last, first.frame, second.frame))
    return found


def _ranges(track_id: int, shapes: list[Shape], images: bool) -> Iterator[ActionRange]:
    """Runs of frames with the same action; in a video a box's action holds until the next box."""
    current: ActionRange | None = None
    for shape, following in pairwise([*sorted(shapes, key=lambda each: each.frame), None]):
        if shape is None or shape.outside:
            continue
        end = shape.frame if images or following is None else max(shape.frame, following.frame - 1)
        if current is not None and current.label == shape.action and current.end == shape.frame - 1:
            current = ActionRange(track_id, current.start, end, shape.action)
            continue
        if current is not None and current.label:
            yield current
        current = ActionRange(track_id, shape.frame, end, shape.action)
    if current is not None and current.label:
        yield current
