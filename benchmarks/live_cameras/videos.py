"""The pictures of a camera with about so many people, made of the bundled sample: real footage, nothing else needed.

A part of the street is cut out and scaled to 1280×720 at 25 frames a second (the sample has 10, so pictures repeat).
More people than one part has stand in tiles, each at another moment of the sample and every second one mirrored, so
that no two tiles show the same thing at the same time. People that the shipped detector and tracker find there in the
whole sample, on average (fewest to most): 2.0 (1-3), 4.0 (2-7), 5.3 (3-8); the tiles twice 4.6 and four times 5.3.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.service import SAMPLE, SAMPLE_URL

SAMPLE_NAME = "sample"  # the bundled sample as `make run` plays it: 768×576, 10 frames a second, up to 8 people
RATE = 25


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of the sample. ``crop``: ffmpeg's width:height:left:top; ``start_s``: the moment that it begins with."""

    crop: str
    start_s: int = 0
    mirrored: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """Tiles of equal size, row by row, that fill 1280×720."""

    tiles: tuple[Tile, ...]
    columns: int = 1
    size: str = "1280:720"  # of a tile

    def filters(self) -> str:
        """→ ffmpeg's filter graph from the sample to ``[out]``."""
        parts = [f"[0:v]split={len(self.tiles)}" + "".join(f"[s{i}]" for i in range(len(self.tiles)))]
        parts += [self._tile(index, tile) for index, tile in enumerate(self.tiles)]
        names = "".join(f"[t{i}]" for i in range(len(self.tiles)))
        width, height = map(int, self.size.split(":"))
        places = [f"{i % self.columns * width}_{i // self.columns * height}" for i in range(len(self.tiles))]
        joined = f"xstack=inputs={len(places)}:layout={'|'.join(places)}" if len(places) > 1 else "null"
        return ";".join([*parts, f"{names}{joined},fps={RATE}[out]"])

    def _tile(self, index: int, tile: Tile) -> str:
        look = f"crop={tile.crop},scale={self.size}{',hflip' if tile.mirrored else ''}[t{index}]"
        if not tile.start_s:
            return f"[s{index}]{look}"
        later = f"[a{index}]trim=start={tile.start_s},setpts=PTS-STARTPTS[l{index}]"
        sooner = f"[b{index}]trim=end={tile.start_s},setpts=PTS-STARTPTS[e{index}]"
        return f"[s{index}]split[a{index}][b{index}];{later};{sooner};[l{index}][e{index}]concat,{look}"


STREET = "512:288:128:160"
CORNER = "384:432:288:108"
SCENES: Mapping[str, Scene] = {
    "people-2": Scene((Tile("576:324:64:252"),)),
    "people-4": Scene((Tile("640:360:128:216"),)),
    "people-5": Scene((Tile(STREET),)),
    "people-10": Scene((Tile(CORNER), Tile(CORNER, 10, mirrored=True)), columns=2, size="640:720"),
    "people-20": Scene(
        tuple(Tile(STREET, start_s, mirrored=bool(i % 2)) for i, start_s in enumerate((0, 5, 10, 15))),
        columns=2,
        size="640:360",
    ),
}


def camera_video(name: str, folder: Path) -> Path:
    """→ the H.264 file of a scene in ``folder`` (made at first use, without B-frames), or the sample itself.

    Raises ValueError for a name that is no scene, subprocess.CalledProcessError where ffmpeg fails.
    """
    if name == SAMPLE_NAME:
        return SAMPLE
    if name not in SCENES:
        raise ValueError(f"expected one of {', '.join((SAMPLE_NAME, *SCENES))}, got {name}")
    target = folder / f"{name}.mp4"
    if not target.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part.mp4")
        command = ["ffmpeg", "-v", "error", "-y", "-i", str(SAMPLE), "-filter_complex", SCENES[name].filters()]
        coding = ["-map", "[out]", "-c:v", "libx264", "-bf", "0", "-g", str(RATE), "-preset", "fast", "-crf", "23"]
        subprocess.run([*command, *coding, str(part)], check=True)
        part.replace(target)
    return target


def file_url(name: str) -> str | None:
    """→ the address where a scene is played as a file and not by an RTSP server; None for cameras."""
    return SAMPLE_URL if name == SAMPLE_NAME else None
