"""Whole scenes: what a person does, seen together with what is around. A Video Action Transformer on an I3D's trunk.

    actoscope dataset extract VIDEOS --work work
    actoscope dataset label work                 # fill in labels, groups, and val in the column split
    actoscope train models/configs/scene.py --data work --output weights/mine

The trunk keeps the weights of I3D from Kinetics-400, which was trained on whole pictures. It runs once over each clip,
64 pictures, whoever is in it; the head learns from these features (5 MB a clip in ``runs/features``).

Not measured: no scene network has been trained on enough scenes by this project yet.
"""

from models.training.config import SCENE_FEATURES, ClipInput, LossConfig, NetworkConfig, OptimizerConfig, TrainConfig

CONFIG = TrainConfig(
    name="scene",
    network=NetworkConfig(kind="action_transformer"),
    transfer=SCENE_FEATURES,
    input=ClipInput(augment=None),
    loss=LossConfig(label_smoothing=0.1),
    optimizer=OptimizerConfig(learning_rate=1e-3, weight_decay=1e-3),
    epochs=20,
    batch_size=8,
    patience=8,
    description=__doc__ or "",
)
