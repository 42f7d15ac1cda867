"""UCF101: I3D on pictures and I3D on optical flow, the logits of both added.

    actoscope weights pull i3d-kinetics400
    actoscope train models/configs/roads/ucf101_i3d_fused.py --data data/ucf101
    actoscope evaluate ucf101-i3d-fused data/ucf101 --split test

As ``ucf101_i3d_flow.py``, with a second network on pictures that learns beside it.

Measured: not run, for want of time; the command above measures it.
"""

from dataclasses import replace

from models.configs.roads.ucf101_i3d_flow import CONFIG as FLOW
from models.training.config import Mode, TrainConfig

CONFIG: TrainConfig = replace(FLOW, name="ucf101-i3d-fused", mode=Mode.FUSE, description=__doc__ or "")
