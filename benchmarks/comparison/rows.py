"""What benchmarks/classifier.py measures: every network of the registry on every runtime and precision it has here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from models.networks.registry import NETWORKS

REFERENCE = ("tensorflow", "f32")  # what every other row of a network is held to

CONFIGURATIONS: tuple[tuple[str, str], ...] = (
    REFERENCE,
    ("tensorflow", "bf16"),
    ("tensorflow-xla", "f32"),
    ("openvino", "f32"),
    ("openvino", "bf16"),
    ("openvino", "int8"),
    ("onnx", "f32"),
    ("litert", "f32"),
    ("savedmodel", "f32"),
)

# Networks whose trained weights lie in the repository or are pulled; the others run with fresh weights, for speed.
TRAINED: Mapping[str, str] = {"se_i3d": "surveillance"}

# Networks of other libraries, with the clip (T, size, size) that each was published with.
PEERS: Mapping[str, tuple[int, int]] = {
    "torchvision s3d": (64, 224),
    "torchvision r3d_18": (16, 112),
    "torchvision swin3d_t": (32, 224),
    "pytorchvideo slowfast_r50": (32, 224),
    "pytorchvideo x3d_m": (16, 224),
}


@dataclass(frozen=True, slots=True)
class Key:
    """One row of the table. A peer has its library in ``runtime`` and no ``weights``."""

    network: str
    runtime: str
    precision: str

    @property
    def is_reference(self) -> bool:
        return (self.runtime, self.precision) == REFERENCE


@dataclass
class Measured:
    """What one row measured; times in seconds, memory in MB. ``problem`` says why there are no figures.

    ``anchor_ratio``: CPU seconds a clip, as a part of the anchor's (SE-I3D, TensorFlow f32), measured in turn with it.
    ``own_ratio``: likewise of the same network on TensorFlow f32. Differences are of logits, to that network too.
    """

    network: str
    runtime: str
    precision: str
    description: str = ""
    clip: tuple[int, ...] = ()
    parameters: int = 0
    gmacs: float = 0.0
    trained: bool = False
    load_s: float = 0.0
    peak_rss_mb: float = 0.0
    clip_s: float = 0.0
    cpu_s: float = 0.0
    clips_per_s: float = 0.0
    anchor_ratio: float = 0.0
    own_ratio: float = 0.0
    largest_logit_difference: float | None = None
    top1_agreement: float | None = None
    labels: dict[str, str] = field(default_factory=dict)
    problem: str = ""


def rows_of(network: str, runtimes: Iterable[str] = (), precisions: Iterable[str] = ()) -> list[Key]:
    """The network's rows, its reference first; ``runtimes`` and ``precisions`` narrow the others."""
    names, formats = set(runtimes), set(precisions)
    keys = [Key(network, *configuration) for configuration in CONFIGURATIONS]
    return [key for key in keys if key.is_reference or (_in(key.runtime, names) and _in(key.precision, formats))]


def _in(value: str, wanted: set[str]) -> bool:
    return not wanted or value in wanted


def chosen_networks(names: Iterable[str]) -> list[str]:
    """→ the names, or all of the registry. Raises SystemExit for a name that is none."""
    chosen = list(names) or list(NETWORKS)
    unknown = [name for name in chosen if name not in NETWORKS]
    if unknown:
        raise SystemExit(f"no network is called {', '.join(unknown)}; there are {', '.join(NETWORKS)}")
    return chosen
