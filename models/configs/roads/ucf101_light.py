"""UCF101: the light I3D, 16 pictures of 96 pixels; only the output learns.

    actoscope weights pull i3d-kinetics400
    actoscope train models/configs/roads/ucf101_light.py --data data/ucf101
    actoscope evaluate ucf101-light data/ucf101 --split test

Data as in ``ucf101_gru.py``. Network and input are those of ``models/configs/surveillance_light.py``, with no teacher.

Measured: not run, for want of time; the command above measures it.
"""

from models.data.batches.clip_window import WindowConfig
from models.training.config import (
    ClipInput,
    NetworkConfig,
    OptimizerConfig,
    TrainConfig,
    TransferConfig,
    Unfreeze,
)

CONFIG = TrainConfig(
    name="ucf101-light",
    network=NetworkConfig(kind="i3d_light"),
    transfer=TransferConfig(cache_at="AvgPool3d", draws=4, unfreeze=(Unfreeze(0, "new"),)),
    input=ClipInput(window=WindowConfig(16, speed=4.0), size=96),
    optimizer=OptimizerConfig(learning_rate=1e-2, weight_decay=5e-2),
    epochs=20,
    batch_size=64,
    weight_average=0.7,
    refit_on="train+val",
    description=__doc__ or "",
)
