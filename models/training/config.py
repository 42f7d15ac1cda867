"""What a training is: frozen values that a Python file builds and calls ``CONFIG``.

A config's docstring holds its command and its measured result (as in Google's big_vision). ``load_config`` runs the
file, so a config is code: run only those you trust.
"""

from __future__ import annotations

import runpy
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from models.data.batches.augment_config import DEFAULT_AUGMENTATION, AugmentConfig
from models.data.batches.clip_window import WindowConfig
from models.data.batches.flow import FlowMethod
from models.errors import TrainingError
from models.training.search import SearchConfig

NEW_LAYERS, ALL_LAYERS = "new", "all"
SCENE_RATE_HZ = 25.0  # pictures a second of media time that whole scenes are sampled with at the speed 1
CLASS_WEIGHTS: Mapping[str, float] = {"": 0.0, "root": 0.5, "balanced": 1.0}  # powers of the number of clips


class Mode(str, Enum):
    """What the network looks at. ``FUSE`` adds the logits of both streams before softmax."""

    RGB = "rgb"
    FLOW = "flow"
    FUSE = "fuse"

    @property
    def streams(self) -> tuple[Mode, ...]:
        return (Mode.RGB, Mode.FLOW) if self is Mode.FUSE else (self,)


CHANNELS: Mapping[Mode, int] = {Mode.RGB: 3, Mode.FLOW: 2}  # of a stream's pictures


class LossKind(str, Enum):
    CROSS_ENTROPY = "cross_entropy"
    FOCAL = "focal"


class OptimizerKind(str, Enum):
    ADAM = "adam"
    ADAMW = "adamw"
    RADAM = "radam"


class BatchNorm(str, Enum):
    """Whether trained layers also learn their batch statistics and offsets; with small data sets they better do not."""

    FROZEN = "frozen"
    TRAINED = "trained"


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """``kind``: a name in ``networks.registry`` that reads crops, or whole scenes; or ``saved``: the very network of
    ``init``, whatever it is, with its labels. ``init``: a weights folder, or the name of one, to start from; empty
    starts at random, or at what ``options`` say. action_transformer takes an I3D's, for its trunk, or its own.

    For I3D: ``init_flow``: the flow stream's start; empty takes ``init``, whose stem is averaged over colour where it
    was made for RGB. ``hidden`` nodes before the output; ``dropout``; ``gate_ratio``. ``depths``: blocks whose
    features, averaged over time and space and each brought to mean 0 and spread 1, the output reads side by side;
    empty: those of the last block alone.
    For the others: ``options`` of the network's maker, such as ``{"backbone": "MobileNetV3Small"}`` for cnn_gru.
    """

    kind: str = "se_i3d"
    init: str = "i3d-kinetics400"
    init_flow: str = ""
    hidden: int = 0
    dropout: float = 0.5
    gate_ratio: int = 16
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)  # apart in the name of a training
    depths: tuple[str, ...] = field(default=(), repr=False)  # as above


@dataclass(frozen=True, slots=True)
class Unfreeze:
    """From ``epoch`` (0 = the first) on, the layers from the endpoint ``train_from`` to the logits learn.

    ``new``: only layers that the start weights do not have (gates, hidden nodes, logits; everything behind the
    pictures' features of the cnn_… networks, and behind the trunk of action_transformer). ``all``: every layer.
    Endpoints of networks other than I3D are the names of their layers.
    """

    epoch: int
    train_from: str


@dataclass(frozen=True, slots=True)
class TransferConfig:
    """``cache_at``: features at this endpoint are computed once for each clip and each of ``draws`` augmentation draws
    (draw 0: the plain centre window), and everything behind it trains on them; empty trains on clips. Where the output
    reads several depths, those in front of it are kept with them. ``unfreeze``: what learns when; later rows replace
    earlier ones.
    """

    unfreeze: tuple[Unfreeze, ...] = (Unfreeze(0, "Mixed_5b"),)
    cache_at: str = "MaxPool3d_5a_2x2"
    draws: int = 8
    batch_norm: BatchNorm = BatchNorm.FROZEN


FROM_SCRATCH = TransferConfig(unfreeze=(Unfreeze(0, ALL_LAYERS),), cache_at="", batch_norm=BatchNorm.TRAINED)
FRAME_FEATURES = TransferConfig(unfreeze=(Unfreeze(0, NEW_LAYERS),), cache_at="Features")  # of cnn_…
SCENE_FEATURES = TransferConfig(unfreeze=(Unfreeze(0, NEW_LAYERS),), cache_at="Mixed_4f", draws=1)  # the trunk's end


@dataclass(frozen=True, slots=True)
class LossConfig:
    """``class_weights``: ``balanced`` (inverse to the clips of a class), ``root`` (to their square root), a factor by
    class name, or empty for none. ``anchor``: times the squared distance of every trained weight from its start, which
    keeps a network that learns from few clips near what it knew (L2-SP, Li et al. 2018).
    """

    kind: LossKind = LossKind.CROSS_ENTROPY
    label_smoothing: float = 0.0
    focal_gamma: float = 2.0
    class_weights: str | Mapping[str, float] = "balanced"
    l2: float = 0.0  # times the sum of squares of every trained kernel
    anchor: float = field(default=0.0, repr=False)  # apart in the name of a training


@dataclass(frozen=True, slots=True)
class OptimizerConfig:
    """``lookahead``: k updates of the fast weights for each of the slow ones, 0 for none. ``accumulate``: batches whose
    gradients are averaged for one update. ``weight_decay`` is decoupled from the gradient. ``output_rate``: how many
    times faster the output layer and hidden nodes learn, which start anew where the rest is pretrained.
    """

    kind: OptimizerKind = OptimizerKind.ADAMW
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    lookahead: int = 0
    lookahead_step: float = 0.5
    accumulate: int = 1
    clip_norm: float = 0.0  # of all gradients together, 0 for none
    output_rate: float = 1.0


@dataclass(frozen=True, slots=True)
class ScheduleConfig:
    """In epochs. ``decay``: constant, step (times ``gamma`` every ``step_epochs``), cosine (down to ``floor``)."""

    decay: str = "cosine"
    warmup_epochs: float = 1.0
    step_epochs: float = 10.0
    gamma: float = 0.1
    floor: float = 0.0


@dataclass(frozen=True, slots=True)
class ClipInput:
    """What the network sees of a clip. ``window``: pictures, and every how many-th (``speed``). ``size`` pixels a side.

    ``augment``: for training clips only, None for none. ``augment_seed`` draws it, apart from the training's seed, so
    that trainings with other seeds share cached features. ``flow_folder`` keeps optical flow where it is not empty.
    ``repeat``: clips shorter than the window are played back and forth, as the service does. Without, the
    cnn_… networks learn (from cached features) what is there, with a mask over the rest.

    Of whole scenes, ``size`` is the height, ``width`` the width (0: as high as wide); a clip of each person ends every
    ``hop`` pictures, of which a second of media time has ``SCENE_RATE_HZ / window.speed``. ``shortest``: people seen in
    so few pictures are learnt from, too, played back and forth as the service's first clips are; 0: whole clips only.
    """

    window: WindowConfig = WindowConfig()  # noqa: RUF009  # frozen
    size: int = 224
    augment: AugmentConfig | None = DEFAULT_AUGMENTATION
    augment_seed: int = 0
    workers: int = 0
    flow_folder: str = ""
    flow_method: FlowMethod = FlowMethod.DIS
    repeat: bool = field(default=True, repr=False)  # apart in the name of a training, as are those below
    width: int = field(default=0, repr=False)
    hop: int = field(default=16, repr=False)
    shortest: int = field(default=0, repr=False)

    @property
    def size_hw(self) -> tuple[int, int]:
        return self.size, self.width or self.size


@dataclass(frozen=True, slots=True)
class TrustConfig:
    """Which unlabelled clips a teacher is believed (``models.training.run.self_training``).

    Those that teachers without their group call the same, plain and in ``draws`` views that ``augment`` makes, each
    time with a probability of ``chance`` or more. The pupil learns the mean of what was said.
    """

    chance: float = 0.9
    draws: int = 4
    augment: AugmentConfig = DEFAULT_AUGMENTATION


@dataclass(frozen=True, slots=True)
class DistilConfig:
    """A larger I3D that teaches (``models.training.run.distil``): ``network`` with the weights of its ``init``.

    A logistic regression on the pooled features of its ``endpoints``, of plain clips of ``input``, gives probabilities,
    the more cautious the smaller ``strength`` (scikit-learn's C).
    ``weight``: their share in the targets of labelled clips. ``temperature`` flattens them. ``unlabelled``: classes of
    the data set that are none to the pupil: their clips are learnt from the teacher alone, and measure nothing.
    ``trust``: which of them; None: all.
    """

    network: NetworkConfig = NetworkConfig()  # frozen
    input: ClipInput = ClipInput(augment=None)  # frozen
    weight: float = 0.5
    temperature: float = 1.0
    endpoints: tuple[str, ...] = ("Mixed_4c", "Mixed_4f", "Mixed_5c")
    strength: float = 1e-3
    unlabelled: tuple[str, ...] = ()
    trust: TrustConfig | None = field(default=None, repr=False)  # apart in the name of a training


@dataclass(frozen=True, slots=True)
class CardText:
    """What a person writes into the model's card."""

    provenance: str = ""
    licence: str = ""
    data: str = ""
    limits: str = ""
    recipes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """One training. ``epochs`` of ``batch_size``; ``patience`` epochs without a better ``monitor`` stop it (0: never).

    ``monitor``: ``val_macro_f1`` or ``val_accuracy`` (higher is better) or ``val_loss`` (lower). ``weight_average``:
    decay of a moving average of the weights over epochs, 0 for none; where it is on, the average is what is measured
    and kept. ``folds``: grouped cross-validation over train and val, 0 for none. ``refit_on``: ``train``, with the
    best epoch by val kept, or ``train+val``, where nothing is left to choose by and the last epoch is kept.
    ``distil``: a teacher, for networks on cached features. ``search``: ranges that ``actoscope batch tune`` tries.
    """

    name: str
    network: NetworkConfig = NetworkConfig()
    transfer: TransferConfig = TransferConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    input: ClipInput = ClipInput()
    mode: Mode = Mode.RGB
    epochs: int = 30
    batch_size: int = 16
    seed: int = 0
    precision: str = "float32"  # or mixed_bfloat16, mixed_float16
    patience: int = 0
    monitor: str = "val_macro_f1"
    mixup: float = 0.0  # both parameters of the beta distribution, 0 for none
    weight_average: float = 0.0
    folds: int = 0
    refit_on: str = "train"
    dataset: str = ""  # folder, where the command names none
    card: CardText = CardText()
    description: str = ""  # the config file's docstring
    distil: DistilConfig | None = field(default=None, repr=False)  # apart in the name of a training
    search: SearchConfig | None = field(default=None, repr=False)  # no part of a training's name: it changes none


def load_config(path: Path) -> TrainConfig:
    """Run the Python file ``path`` and take its ``CONFIG``. Raises TrainingError saying what the file lacks."""
    if not path.is_file():
        raise TrainingError(f"there is no file {path}; models/configs/quick.py is one to start from")
    try:
        names = runpy.run_path(str(path))
    except Exception as error:  # the file is the user's program: it may raise anything
        raise TrainingError(f"{path} cannot be run: {type(error).__name__}: {error}") from error
    config = names.get("CONFIG")
    if not isinstance(config, TrainConfig):
        raise TrainingError(f"{path} must define CONFIG = TrainConfig(…), got {type(config).__name__}")
    return config
