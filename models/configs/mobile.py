"""MobileNetV3-Small with a third dimension, from random weights: for processors without a graphics card.

    actoscope train models/configs/mobile.py --data DATASET --output weights/mine

Clips of 16 pictures of 112 pixels, 6.25 a second where the data set has 25: the 2.56 seconds of networks of 64.
Every layer learns, from fresh augmentation in every epoch, so it wants thousands of clips; with fewer, start I3D from
Kinetics-400 (``quick.py``). Any other network of ``models.networks.registry`` that reads crops is trained alike: its
``kind``, its maker's ``options``.
"""

from models.data.batches.clip_window import WindowConfig
from models.training.config import FROM_SCRATCH, ClipInput, LossConfig, NetworkConfig, OptimizerConfig, TrainConfig

CONFIG = TrainConfig(
    name="mobile",
    network=NetworkConfig(kind="mobilenet_v3_3d", init="", options={"size": "small"}),
    transfer=FROM_SCRATCH,
    input=ClipInput(window=WindowConfig(length=16, speed=4), size=112),
    loss=LossConfig(label_smoothing=0.1),
    optimizer=OptimizerConfig(learning_rate=2e-3, weight_decay=1e-2),
    epochs=60,
    batch_size=16,
    weight_average=0.9,
    description=__doc__ or "",
)
