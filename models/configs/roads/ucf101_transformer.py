"""UCF101: ImageNet features of twenty pictures, places added, a transformer encoder, the maximum over time.

    actoscope train models/configs/roads/ucf101_transformer.py --data data/ucf101
    actoscope evaluate ucf101-transformer data/ucf101 --split test

Data, pictures and all else as in ``ucf101_gru.py``, whose cached features it shares.

Measured (70 test clips of 35 groups): top-1 0.971 [0.914, 1.000]; beside the other roads in docs/roads.md.
"""

from dataclasses import replace

from models.configs.roads.ucf101_gru import CONFIG as GRU
from models.configs.roads.ucf101_gru import PICTURES
from models.training.config import NetworkConfig, TrainConfig

CONFIG: TrainConfig = replace(
    GRU,
    name="ucf101-transformer",
    network=NetworkConfig(kind="cnn_transformer", init="", options={**PICTURES, "blocks": 1, "feed": 256}),
    description=__doc__ or "",
)
