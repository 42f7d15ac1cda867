"""ShuffleNetV2-3D taught by I3D: what a small network gets from random weights, without the light I3D's Kinetics.

Data: that of ``surveillance_light.py``.

Command (five folds, then a network on everything; ``benchmarks/tiers.py`` takes the same folds one by one):

    actoscope train models/configs/surveillance_shufflenet.py --data work/dataset

16 pictures of 112² over 2.4 s. Every layer learns, from clips that are augmented once and kept (``cache_at="clip"``,
four draws), half from labels and half from the teacher of ``surveillance_light.py``, and from it alone on the unclear
tracks.

Not measured yet. An epoch over the 736 clips of a fold takes some 65 CPU s (TensorFlow float32, one thread of an AMD
EPYC with AVX-512).
"""

from dataclasses import replace

from models.configs.surveillance_light import CONFIG as LIGHT
from models.data.batches.clip_window import WindowConfig
from models.training.config import (
    BatchNorm,
    CardText,
    ClipInput,
    NetworkConfig,
    OptimizerConfig,
    TrainConfig,
    TransferConfig,
    Unfreeze,
)

CONFIG: TrainConfig = replace(
    LIGHT,
    name="surveillance-shufflenet",
    network=NetworkConfig(kind="shufflenet_v2_3d", init=""),
    input=ClipInput(window=WindowConfig(16, speed=4.0), size=112),
    transfer=TransferConfig(cache_at="clip", draws=4, unfreeze=(Unfreeze(0, "Conv1"),), batch_norm=BatchNorm.TRAINED),
    optimizer=OptimizerConfig(learning_rate=2e-3, weight_decay=5e-2),
    epochs=20,
    batch_size=16,
    mixup=0.2,
    card=CardText(licence=LIGHT.card.licence, data=LIGHT.card.data),
    description=__doc__ or "",
)
