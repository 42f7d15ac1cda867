"""A small data set of your own → a network in minutes on a CPU.

    actoscope train models/configs/quick.py --data DATASET --output weights/mine

SE-I3D from Kinetics-400, frozen up to the last two blocks; these, their gates and the output learn from features that
are computed once for each clip and each of four augmentation draws. `actoscope batch tune quick` tries the ranges
below: none of them asks for other features, so that trials share what is computed once (docs/batch.md).
"""

from models.training.config import LossConfig, OptimizerConfig, TrainConfig, TransferConfig, Unfreeze
from models.training.search import Choice, LogUniform, SearchConfig, Uniform

CONFIG = TrainConfig(
    name="quick",
    transfer=TransferConfig(
        cache_at="MaxPool3d_5a_2x2",
        draws=4,
        unfreeze=(Unfreeze(0, "new"), Unfreeze(3, "Mixed_5b")),
    ),
    loss=LossConfig(label_smoothing=0.1),
    optimizer=OptimizerConfig(learning_rate=3e-4, weight_decay=1e-3),
    epochs=20,
    batch_size=8,
    patience=8,
    search=SearchConfig(
        {
            "optimizer.learning_rate": LogUniform(1e-4, 3e-3),
            "optimizer.weight_decay": LogUniform(1e-4, 1e-1),
            "optimizer.output_rate": Choice((1.0, 3.0, 10.0)),
            "loss.label_smoothing": Uniform(0.0, 0.2),
            "mixup": Choice((0.0, 0.2, 0.4)),
            "batch_size": Choice((8, 16, 32)),
        }
    ),
    description=__doc__ or "",
)
