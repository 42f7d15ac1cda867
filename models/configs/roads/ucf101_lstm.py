"""UCF101: ImageNet features of twenty pictures, then an LSTM.

    actoscope train models/configs/roads/ucf101_lstm.py --data data/ucf101
    actoscope evaluate ucf101-lstm data/ucf101 --split test

Data, pictures and all else as in ``ucf101_gru.py``, whose cached features it shares.

Measured (70 test clips of 35 groups): top-1 0.971 [0.914, 1.000]; beside the other roads in docs/roads.md.
"""

from dataclasses import replace

from models.configs.roads.ucf101_gru import CONFIG as GRU
from models.configs.roads.ucf101_gru import PICTURES
from models.training.config import NetworkConfig, TrainConfig

CONFIG: TrainConfig = replace(
    GRU,
    name="ucf101-lstm",
    network=NetworkConfig(kind="cnn_lstm", init="", options={**PICTURES, "units": (128,)}),
    description=__doc__ or "",
)
