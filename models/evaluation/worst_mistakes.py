"""Pictures of what a model got most wrong: one contact sheet (PNG) and one GIF a clip."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from models.data.clip_file import Clip, read_clip
from models.evaluation.judge import Mistake
from pipeline.files import write_atomically

COLUMNS, TILE, CAPTION = 8, 112, 22  # pictures a row, their side and the height of the line above them, in pixels
GIF_SIDE, GIF_STEP_S = 144, 0.08
_INK, _PAPER = (28, 28, 30), (255, 255, 255)


def write_worst_mistakes(mistakes: Sequence[Mistake], folder: Path, rate_hz: float) -> tuple[Path | None, list[Path]]:
    """→ the contact sheet and one GIF a mistake, in their order; nothing at all where there is no mistake.

    ``rate_hz``: pictures a second of the clips. GIFs of an earlier run are removed. Raises DatasetError for a clip
    that cannot be read, OSError where the disk fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in [*folder.glob("*.gif"), folder / "contact-sheet.png"]:
        old.unlink(missing_ok=True)
    rows, gifs = [], []
    for number, mistake in enumerate(mistakes, 1):
        clip = read_clip(Path(mistake.path))
        rows.append(sheet_row(clip, f"{number}. {caption(mistake)}"))
        path = folder / f"{number:02d}-{_plain(mistake.truth)}-as-{_plain(mistake.called)}.gif"
        write_atomically(path, gif(clip, rate_hz))
        gifs.append(path)
    if not rows:
        return None, []
    sheet = folder / "contact-sheet.png"
    done, data = cv2.imencode(".png", cv2.cvtColor(np.concatenate(rows), cv2.COLOR_RGB2BGR))
    if not done:
        raise OSError(f"cannot write {sheet}")
    write_atomically(sheet, data.tobytes())
    return sheet, gifs


def caption(mistake: Mistake) -> str:
    """``Fighting called Standing 97 % (fi012, person 3, 1.2-3.4 s)``."""
    where = [mistake.video or Path(mistake.path).stem, f"person {mistake.track_id}" if mistake.track_id else ""]
    where.append(f"{mistake.start_s:.1f}-{mistake.end_s:.1f} s" if mistake.end_s > mistake.start_s else "")
    place = ", ".join(part for part in where if part)
    return f"{mistake.truth} called {mistake.called} {mistake.confidence:.0%} ({place})"


def sheet_row(clip: Clip, text: str) -> Clip:
    """uint8 (T, S, S, 3) → uint8 (CAPTION + TILE, COLUMNS · TILE, 3): pictures spread evenly under a line of text."""
    picked = np.linspace(0, len(clip) - 1, COLUMNS).round().astype(int)
    tiles = np.concatenate([_scaled(clip[index], TILE) for index in picked], axis=1)
    line = Image.new("RGB", (tiles.shape[1], CAPTION), _PAPER)
    ImageDraw.Draw(line).text((4, 3), text, fill=_INK, font=ImageFont.load_default(14))
    return np.concatenate([np.asarray(line, np.uint8), tiles])


def gif(clip: Clip, rate_hz: float) -> bytes:
    """uint8 (T, S, S, 3) → an endless GIF at the clip's own speed, some 12 pictures a second."""
    step = max(1, round(GIF_STEP_S * rate_hz))
    pictures = [Image.fromarray(_scaled(picture, GIF_SIDE)).quantize(128) for picture in clip[::step]]
    data = io.BytesIO()
    pause_ms = max(20, round(1000 * step / rate_hz))
    pictures[0].save(data, "GIF", save_all=True, append_images=pictures[1:], duration=pause_ms, loop=0)
    return data.getvalue()


def _scaled(picture: Clip, side: int) -> Clip:
    how = cv2.INTER_AREA if picture.shape[0] > side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (side, side), interpolation=how), np.uint8)


def _plain(label: str) -> str:
    return re.sub(r"[^\w-]+", "_", label, flags=re.ASCII)
