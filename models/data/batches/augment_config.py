"""What augmentation may do to a clip, and one draw of it: numbers only, no image library.

A draw is made once for a whole clip and holds for every picture of it. What is drawn follows what happens between a
scene and a network in surveillance: people come mirrored and at other sizes, boxes waver, light and colour differ,
lenses and motion blur, night brings noise, far people have few pixels, and streams are compressed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import numpy as np

from models.data.batches.clip_window import WindowConfig, WindowMode
from models.errors import DatasetError

Range = tuple[float, float]
PROBABILITIES = ("flip", "crop", "colour", "grey", "blur", "low_light", "downscale", "compression", "short_run")


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """Fields of ``PROBABILITIES`` say how often a clip gets that change (0 to 1), the others how strong it is.

    ``zoom``: both sides of the crop are enlarged by this factor (below 1 shows grey around it, as beyond a picture's
    border), ``aspect``: width over height on top of it, ``shift``: of the centre, as a share of the side.
    ``brightness``, ``contrast``, ``saturation``: factors 1 ± value; ``hue``: ± share of the colour circle.
    ``blur_sigma``: pixels at 224. ``gain``: what is left of the light. ``noise``: standard deviation of a dark clip's
    grain, of 255. ``scale``: share of the pixels' rows left by ``downscale``. ``quality``: JPEG.
    ``speed``: playing speed. ``jitter``: the window starts anywhere. ``shortest_run``: with probability ``short_run``
    only such a share of the pictures (or more) is used and played back and forth, as a track just begun is.

    Raises DatasetError that lists every value out of range.
    """

    flip: float = 0.5
    crop: float = 0.8
    colour: float = 0.8
    grey: float = 0.1
    blur: float = 0.2
    low_light: float = 0.2
    downscale: float = 0.2
    compression: float = 0.3
    short_run: float = 0.3
    zoom: Range = (0.85, 1.25)
    aspect: Range = (0.9, 1.1)
    shift: float = 0.07
    brightness: float = 0.25
    contrast: float = 0.25
    saturation: float = 0.3
    hue: float = 0.03
    blur_sigma: Range = (0.6, 2.0)
    gain: Range = (0.15, 0.5)
    noise: Range = (0.01, 0.05)
    scale: Range = (0.25, 0.6)
    quality: Range = (20, 70)
    speed: Range = (0.8, 1.25)
    jitter: bool = True
    shortest_run: float = 0.4

    def __post_init__(self) -> None:
        wrong = [*self._outside(PROBABILITIES, 0, 1), *self._bad_ranges()]
        wrong += self._outside(("brightness", "contrast", "saturation", "shift"), 0, 0.99)
        wrong += [*self._outside(("hue",), 0, 0.5), *self._outside(("shortest_run",), 0.01, 1)]
        if wrong:
            raise DatasetError(f"augmentation cannot be done so: {'; '.join(wrong)}")

    def _outside(self, names: tuple[str, ...], low: float, high: float) -> list[str]:
        values = {name: getattr(self, name) for name in names}
        return [
            f"{name} must be {low} to {high}, got {value}" for name, value in values.items() if not low <= value <= high
        ]

    def _bad_ranges(self) -> list[str]:
        limits = {"gain": 1.0, "noise": 1.0, "scale": 1.0, "quality": 100.0}
        wrong = []
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, tuple) and not 0 < value[0] <= value[1] <= limits.get(entry.name, 100.0):
                wrong.append(
                    f"{entry.name} must be (low, high) above 0 and at most {limits.get(entry.name, 100.0)}, got {value}"
                )
        return wrong


DEFAULT_AUGMENTATION = AugmentConfig()
NO_AUGMENTATION = AugmentConfig(**dict.fromkeys(PROBABILITIES, 0.0), speed=(1.0, 1.0), jitter=False)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class ColourDraw:
    """Factors around 1 for the first three, ``hue`` in shares of the colour circle."""

    brightness: float
    contrast: float
    saturation: float
    hue: float


@dataclass(frozen=True, slots=True)
class LowLightDraw:
    """``gain``: share of light left. ``noise``: standard deviation, of 255. ``seed`` of the grain."""

    gain: float
    noise: float
    seed: int


@dataclass(frozen=True, slots=True)
class ClipDraw:
    """What happens to every picture of one clip. ``ClipDraw()`` changes nothing."""

    flip: bool = False
    zoom_xy: tuple[float, float] = (1.0, 1.0)
    shift_xy: tuple[float, float] = (0.0, 0.0)  # share of width and height, after the zoom
    colour: ColourDraw | None = None
    grey: bool = False
    blur_sigma: float | None = None  # pixels of a clip 224 wide
    motion: tuple[int, float] | None = None  # length in pixels (odd), angle in degrees
    low_light: LowLightDraw | None = None
    scale: float | None = None
    quality: int | None = None

    @property
    def moves(self) -> bool:
        """Whether zoom or shift change anything."""
        return self.zoom_xy != (1.0, 1.0) or self.shift_xy != (0.0, 0.0)


def draw_clip(config: AugmentConfig, rng: np.random.Generator) -> ClipDraw:
    """One draw. Takes as many numbers from ``rng`` whatever comes out: switching one change off alters no other."""
    happens = {name: bool(rng.random() < getattr(config, name)) for name in PROBABILITIES}
    zoom, root = _log_uniform(rng, config.zoom), _log_uniform(rng, config.aspect) ** 0.5
    shift = rng.uniform(-config.shift, config.shift, 2).tolist()
    colour, dark = _colour(config, rng), _low_light(config, rng)
    sigma, motion = rng.uniform(*config.blur_sigma), (int(rng.choice([3, 5, 7])), float(rng.uniform(0, 180)))
    by_motion, scale, quality = rng.random() < 0.5, rng.uniform(*config.scale), round(rng.uniform(*config.quality))
    return ClipDraw(
        flip=happens["flip"],
        zoom_xy=(zoom * root, zoom / root) if happens["crop"] else (1.0, 1.0),
        shift_xy=(shift[0], shift[1]) if happens["crop"] else (0.0, 0.0),
        colour=colour if happens["colour"] else None,
        grey=happens["grey"],
        blur_sigma=float(sigma) if happens["blur"] and not by_motion else None,
        motion=motion if happens["blur"] and by_motion else None,
        low_light=dark if happens["low_light"] else None,
        scale=float(scale) if happens["downscale"] else None,
        quality=quality if happens["compression"] else None,
    )


def draw_window(window: WindowConfig, config: AugmentConfig, total: int, rng: np.random.Generator) -> WindowConfig:
    """Temporal augmentation for a file of ``total`` pictures: speed, a window anywhere, now and then a short run."""
    speed, share = draw_speed(config, rng), _run_share(config, rng)
    mode = WindowMode.RANDOM if config.jitter else window.mode
    drawn = replace(window, mode=mode, speed=window.speed * speed)
    return replace(drawn, real=math.ceil(share * drawn.available(total)) if share < 1 else window.real)


def draw_speed(config: AugmentConfig, rng: np.random.Generator) -> float:
    return _log_uniform(rng, config.speed)


def _run_share(config: AugmentConfig, rng: np.random.Generator) -> float:
    """→ the share of the available pictures to use, in (0, 1]."""
    short, share = rng.random() < config.short_run, rng.uniform(config.shortest_run, 1.0)
    return float(share) if short else 1.0


def _log_uniform(rng: np.random.Generator, limits: Range) -> float:
    """Twice as large is as likely as half as large."""
    return float(np.exp(rng.uniform(np.log(limits[0]), np.log(limits[1]))))


def _colour(config: AugmentConfig, rng: np.random.Generator) -> ColourDraw:
    around = (config.brightness, config.contrast, config.saturation)
    brightness, contrast, saturation = (float(1 + rng.uniform(-width, width)) for width in around)
    return ColourDraw(brightness, contrast, saturation, float(rng.uniform(-config.hue, config.hue)))


def _low_light(config: AugmentConfig, rng: np.random.Generator) -> LowLightDraw:
    gain, noise = _log_uniform(rng, config.gain), _log_uniform(rng, config.noise)
    return LowLightDraw(gain, noise, int(rng.integers(2**31)))
