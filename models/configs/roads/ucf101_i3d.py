"""UCF101: I3D from Kinetics-400 on pictures; only the output learns.

    actoscope weights pull i3d-kinetics400
    actoscope train models/configs/roads/ucf101_i3d.py --data data/ucf101
    actoscope evaluate ucf101-i3d data/ucf101 --split test

Data as in ``ucf101_gru.py``. The middle 64 pictures (2.56 s) of each video pass once through the frozen network. The
settings are those of ``models/configs/workout.py``, which were chosen on other videos.

Measured (70 test clips of 35 groups): top-1 1.000 [0.900, 1.000]; beside the other roads in docs/roads.md.
"""

from models.training.config import (
    ClipInput,
    NetworkConfig,
    OptimizerConfig,
    TrainConfig,
    TransferConfig,
    Unfreeze,
)

CONFIG = TrainConfig(
    name="ucf101-i3d",
    network=NetworkConfig(kind="i3d"),
    transfer=TransferConfig(cache_at="Mixed_5c", unfreeze=(Unfreeze(0, "new"),)),
    optimizer=OptimizerConfig(learning_rate=3e-3, weight_decay=1e-2),
    input=ClipInput(augment=None),
    epochs=40,
    batch_size=16,
    refit_on="train+val",
    description=__doc__ or "",
)
