"""UCF Sports: from the videos as they are published to a model in one command, thawed block by block.

    actoscope weights pull i3d-kinetics400
    actoscope train models/configs/roads/ucf_sports.py --videos ucf_sports_actions --layout ucf-sports
    actoscope evaluate ucf-sports runs/ucf-sports/data --split test

The command cuts the videos, makes the views of golf and kicking one class each, leaves out those under a second, splits
by tape (0.7, 0.15, 0.15) and trains. SE-I3D starts from Kinetics-400: first the gates and the output learn, from the
fifth epoch on Mixed_5c, too, from the ninth Mixed_5b, each on the way down of one learning rate. Features up to
MaxPool3d_5a are computed once for each video and each of four draws.

Measured: not on UCF Sports itself, which was not at hand. The tests run this very configuration, made small, on a
miniature of its tree (tests/service/commands/test_train.py).
"""

from models.training.config import LossConfig, OptimizerConfig, TrainConfig, TransferConfig, Unfreeze

CONFIG = TrainConfig(
    name="ucf-sports",
    transfer=TransferConfig(
        cache_at="MaxPool3d_5a_2x2",
        draws=4,
        unfreeze=(Unfreeze(0, "new"), Unfreeze(4, "Mixed_5c"), Unfreeze(8, "Mixed_5b")),
    ),
    loss=LossConfig(label_smoothing=0.1),
    optimizer=OptimizerConfig(learning_rate=1e-3, weight_decay=1e-3),
    epochs=12,
    batch_size=8,
    description=__doc__ or "",
)
