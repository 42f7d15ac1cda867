"""Parameters of the small networks by the formulas of their docstrings, from the papers' tables, without Keras."""

from __future__ import annotations

# Kernel, expanded and output channels, gate: Howard et al. 2019, tables 1 and 2.
MOBILENET_LARGE = (
    (3, 16, 16, 0), (3, 64, 24, 0), (3, 72, 24, 0), (5, 72, 40, 1), (5, 120, 40, 1), (5, 120, 40, 1), (3, 240, 80, 0),
    (3, 200, 80, 0), (3, 184, 80, 0), (3, 184, 80, 0), (3, 480, 112, 1), (3, 672, 112, 1), (5, 672, 160, 1),
    (5, 960, 160, 1), (5, 960, 160, 1),
)  # fmt: skip
MOBILENET_SMALL = (
    (3, 16, 16, 1), (3, 72, 24, 0), (3, 88, 24, 0), (5, 96, 40, 1), (5, 240, 40, 1), (5, 240, 40, 1), (5, 120, 48, 1),
    (5, 144, 48, 1), (5, 288, 96, 1), (5, 576, 96, 1), (5, 576, 96, 1),
)  # fmt: skip
SHUFFLENET = {
    0.5: (48, 96, 192, 1024),
    1.0: (116, 232, 464, 1024),
    1.5: (176, 352, 704, 1024),
    2.0: (244, 488, 976, 2048),
}

# Filters, and of each layer expanded channels and the kernel's reach in time and space; the first halves, but in the
# fourth: Kondratyuk et al. 2021, the table of A0.
MOVINET_A0 = (
    (8, ((24, 1, 5),)),
    (32, ((80, 3, 3), (80, 3, 3), (80, 3, 3))),
    (56, ((184, 5, 3), (112, 3, 3), (184, 3, 3))),
    (56, ((184, 5, 3), (184, 3, 3), (184, 3, 3), (184, 3, 3))),
    (104, ((384, 5, 3), (280, 1, 5), (280, 1, 5), (344, 1, 5))),
)


def rounded(channels: float) -> int:
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


def mobilenet(size: str, width: float, depth: int, classes: int, norm: int = 4) -> int:
    """``depth`` of the kernels in time; ``norm`` parameters a channel of normalisation, of which 2 are trained."""
    rows, last, head = (MOBILENET_LARGE, 960, 1280) if size == "large" else (MOBILENET_SMALL, 576, 1024)
    inputs = rounded(16 * width)
    total = 3 * depth * 9 * inputs + norm * inputs
    for kernel, wide, narrow, gate in rows:
        expand, outputs = rounded(wide * width), rounded(narrow * width)
        if expand != inputs:
            total += inputs * expand + norm * expand
        total += depth * kernel**2 * expand + norm * expand
        units = rounded(expand / 4)
        total += gate * (2 * expand * units + units + expand)
        total += expand * outputs + norm * outputs
        inputs = outputs
    last, head = rounded(last * width), rounded(head * width)
    return total + inputs * last + norm * last + last * head + head + head * classes + classes


def shufflenet(width: float, depth: int, classes: int, norm: int = 4) -> int:
    """As ``mobilenet``."""
    *stages, last = SHUFFLENET[width]
    places, inputs = 9 * depth, 24
    total = 3 * places * 24 + norm * 24
    for outputs, blocks in zip(stages, (4, 8, 4), strict=True):
        half = outputs // 2
        path = half * half + places * half + 3 * norm * half  # behind the first pointwise convolution
        total += places * inputs + norm * inputs + inputs * half + norm * half  # the side branch that halves
        total += inputs * half + path + (blocks - 1) * (half * half + path)
        inputs = outputs
    return total + inputs * last + norm * last + last * classes + classes


def movinet_a0(classes: int, *, norm: int = 4, own_frame: bool = False, split: bool = True) -> int:
    """As ``mobilenet``. ``split``: kernels of space and of time, each normalised; else whole ones."""
    inputs = 8
    total = 3 * 9 * 8 + norm * 8
    for block, (filters, layers) in enumerate(MOVINET_A0):
        for number, (expand, time, space) in enumerate(layers):
            total += inputs * expand + norm * expand + expand * filters + norm * filters
            if split and time > 1:
                total += space**2 * expand + norm * expand + time * expand + norm * expand
            else:
                total += time * space**2 * expand + norm * expand
            read = 2 * expand if own_frame else expand
            units = rounded(read / 4)
            total += read * units + units + units * expand + expand
            if number == 0 and block != 3:  # halved, so the input is projected: in the fourth it is added as it is
                total += inputs * filters + norm * filters
            inputs = filters
    return total + inputs * 480 + norm * 480 + 480 * 2048 + 2048 + 2048 * classes + classes
