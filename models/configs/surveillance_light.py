"""weights/surveillance-light: the classes of weights/surveillance at a fraction of its cost, for many people.

Data: that of ``surveillance.py``, with the tracks whose action is unclear as clips without a label:

    actoscope dataset clips work --whole --format ffv1 --classes Fighting,Standing,Walking,Other,Unclear

Command:

    actoscope train models/configs/surveillance_light.py --data work/dataset
    python -m models.motion_training --work work --answers runs/surveillance-light/cv_predictions.csv \
        --output weights/surveillance-light
    actoscope export surveillance-light --format openvino --ship --data work/dataset

I3D from Kinetics-400 up to Mixed_4c, its wide convolutions split in space and time (``models.networks.i3d_light``),
on 16 pictures of 96² over 2.4 s. All of it is fixed; the output learns from pooled features under four draws, half from
labels and half from a teacher (``models.training.run.distil``): a regression on the features of the whole I3D
(Mixed_4c, 4f and 5c of 32 pictures of 112², 12.5 a second), and from it alone on the 412 unclear tracks. Five grouped
folds over train and val, then the network that ships, on both.

Measured (508 tracks, 35 source videos, the folds of ``surveillance.py``; neither the network nor its teacher saw the
source videos that it is judged by): macro F1 0.712 [0.612, 0.758] over the four classes (Fighting 0.77, Standing 0.80,
Walking 0.77, Other 0.51), 0.823 [0.725, 0.872] over the first three; 95 % intervals of a bootstrap over source videos.
weights/surveillance: 0.782 and 0.860. Calibration error 0.120; with the temperature fitted on these answers 0.053. With
what boxes say (``motion.json``), of networks trained anew in the folds: 0.779 [0.690, 0.823] and 0.867 [0.787, 0.897],
+0.089 [+0.046, +0.143] over four classes to the same networks alone (0.690 and 0.788). The teacher's features came from
pictures reduced to 128² before 112², and the labelled clips' own by way of cached float16 features at MaxPool3d_4a_3x3;
the command takes neither detour.
The data above holds 590 labelled tracks by now: 82 unclear ones were labelled after these weights were made. Anew on
them (``benchmarks/teacher.py``): labels alone 0.669 and 0.783, with the teacher 0.688 and 0.781, with a teacher who is
believed where it is sure (0.7) 0.696 and 0.796, +0.027 [+0.000, +0.054] over labels alone. With boxes beside it
(``benchmarks/voices.py``) 0.771 [0.676, 0.825] and 0.859 [0.781, 0.896].
"""

from models.data.batches.clip_window import WindowConfig
from models.training.config import (
    CardText,
    ClipInput,
    DistilConfig,
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
    transfer=TransferConfig(cache_at="AvgPool3d", draws=4, unfreeze=(Unfreeze(0, "new"),)),
    loss=LossConfig(class_weights="root"),
    optimizer=OptimizerConfig(learning_rate=1e-2, weight_decay=5e-2),
    epochs=20,
    batch_size=64,
    weight_average=0.7,
    folds=5,
    refit_on="train+val",
    distil=DistilConfig(
        input=ClipInput(window=WindowConfig(32, speed=2.0), size=112, augment=None),
        unlabelled=("Unclear",),
    ),
    card=CardText(
        provenance=(
            "i3d_light: DeepMind's Inception-v1 I3D trained on Kinetics-400 (Apache-2.0) up to Mixed_4c, its wide "
            "convolutions split in space and time by singular values; the output learnt from labels and a teacher, "
            "a regression on the whole I3D's features (models/configs/surveillance_light.py). Half precision."
        ),
        licence="AGPL-3.0 (this project); starting weights Apache-2.0 (DeepMind), videos MIT (see data)",
        data=(
            "508 person tracks of 'Surveillance Camera Fight' (Aktı, Tataroğlu, Ekenel 2019, MIT), PETS09-S2L1 and an "
            "Intel sample video (CC BY 4.0): 131 Fighting, 194 Standing, 124 Walking, 59 Other from 35 source videos, "
            "labelled by eye, 158 of them by this project (models/configs/surveillance_tracks); 412 further tracks of "
            "them without a label, learnt from the teacher alone."
        ),
        limits=(
            "A cheaper stand-in for weights/surveillance, with all of its limits, and less sure: see cv_macro_f1 on "
            "both cards. It sees 16 pictures of 96 pixels a side over 2.4 seconds. Other is its weakest class by far. "
            "Boxes speak beside the network (motion.json): where the camera moves, switch that off "
            "(ACTOSCOPE_MOTION=false). No decision about anybody may rest on a label alone."
        ),
        recipes={
            "cpu": f"{COMMAND} (2 cores: some 15 minutes for the features, 5 for folds and the network that ships)",
            "gpu": f"KERAS_BACKEND=jax {COMMAND}, or torch",
        },
    ),
    description=__doc__ or "",
)
