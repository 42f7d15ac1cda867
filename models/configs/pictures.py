"""A picture network and a GRU over twenty pictures of a person: a head in minutes, on features computed once.

    actoscope train models/configs/pictures.py --data DATASET --output weights/mine

MobileNetV3-Small with the ImageNet weights of keras.applications, which are fetched once when there is a network (or
copied to ``~/.keras/models``); ``weights`` takes a file of weights, too, and None starts at random. It looks at 20
pictures of 224 pixels, 7.8 a second where the data set has 25: the 2.56 seconds that the other networks see in 64.
Its 576 features of each picture are kept for each clip and each of four augmentation draws; the GRU, self-attention
over the pictures and the output learn from them.

Then end to end, from the weights above: ``network=NetworkConfig(kind="cnn_gru", init="mine", options=…)`` with the same
options but ``weights``, and ``transfer=TransferConfig(cache_at="", unfreeze=(Unfreeze(0, "new"), Unfreeze(2,
"expanded_conv_8_expand")))``, at a tenth of the learning rate.

Not measured itself: these weights were not at hand where it was written. ``roads/ucf101_gru.py`` is, with a backbone
whose ImageNet weights are.
"""

from dataclasses import replace

from models.data.batches.clip_window import WindowConfig
from models.training.config import FRAME_FEATURES, ClipInput, LossConfig, NetworkConfig, OptimizerConfig, TrainConfig

CONFIG = TrainConfig(
    name="pictures",
    network=NetworkConfig(
        kind="cnn_gru",
        init="",
        options={"backbone": "MobileNetV3Small", "weights": "imagenet", "units": (128,), "attention": True},
    ),
    transfer=replace(FRAME_FEATURES, draws=4),
    input=ClipInput(window=WindowConfig(length=20, speed=3.2)),
    loss=LossConfig(label_smoothing=0.1),
    optimizer=OptimizerConfig(learning_rate=1e-3, weight_decay=1e-3),
    epochs=30,
    batch_size=16,
    patience=10,
    description=__doc__ or "",
)
