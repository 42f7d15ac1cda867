"""draft"""

from models.data.batches.clip_window import WindowConfig
from models.training.config import (
    CardText,
    ClipInput,
    LossConfig,
    NetworkConfig,
    OptimizerConfig,
    TrainConfig,
    TransferConfig,
    Unfreeze,
)

COMMAND = "actoscope train models/configs/surveillance_light.py --data work/dataset"

CONFIG = TrainConfig(
    name="surveillance-light",
    network=NetworkConfig(kind="i3d_light"),
    input=ClipInput(window=WindowConfig(16, speed=4.0), size=96),
    transfer=TransferConfig(cache_at="MaxPool3d_4a_3x3", draws=4, unfreeze=(Unfreeze(0, "Mixed_4b"),)),
    loss=LossConfig(label_smoothing=0.1, class_weights="root"),
    optimizer=OptimizerConfig(learning_rate=1e-4, weight_decay=1e-2, output_rate=10.0),
    epochs=12,
    batch_size=16,
    mixup=0.2,
    weight_average=0.7,
    folds=5,
    refit_on="train+val",
    card=CardText(),
    description=__doc__ or "",
)
