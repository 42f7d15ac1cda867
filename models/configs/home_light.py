"""weights/home-light: who falls, lies, sits, stands or walks. Not shipped: see what is measured, and what is missing.

Data: the tracks of ``home_tracks/`` (README there): 23 videos of ../shared/data/falls (four people, 14 falls), and the
labelled tracks of ``surveillance.py`` in these classes, as one data set of whole tracks. ``tracks`` is the folder that
``surveillance.py`` is made of, with the files of ``home_tracks/mot`` beside the others:

    cp models/configs/home_tracks/mot/*.txt tracks
    actoscope dataset extract SURVEILLANCE/fight SURVEILLANCE/noFight PETS/vtest.avi \
        MISC/one-by-one-person-detection.mp4 FALLS --work work --tracks tracks
    actoscope dataset label work --import models/configs/home_tracks/actions.csv
    actoscope dataset clips work --whole --format ffv1 --classes Falling,Lying,Sitting,Standing,Walking,Other

Command:

    actoscope train models/configs/home_light.py --data work/dataset

Measured by ``python benchmarks/falls.py ../shared/data --dataset work/dataset``, leaving one of the four people out
(2 cores of an AMD EPYC with AVX512_BF16), with logistic regressions on the features that the command's output learns
from, in the place of that output, at the service's own smoothing: at a threshold of 0.5 12 of 14 falls become events,
0.86 [0.60, 0.96], event F1 0.92, 2.1 s after they began (median), with 29 false falls an hour of 43 minutes of calm
video (daily life, workout, UCF101, noFight, PETS, misc). With what boxes say beside it (``python -m
models.motion_training --work work --posture``, the same people left out) 12 of 14 and 9.8 an hour; at 0.7 10 of 14
and none. The command itself and the full network beside the light one have not been measured.
"""

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

COMMAND = "actoscope train models/configs/home_light.py --data work/dataset"

CONFIG = TrainConfig(
    name="home-light",
    network=NetworkConfig(kind="i3d_light"),
    input=ClipInput(window=WindowConfig(16, speed=4.0), size=96),
    transfer=TransferConfig(cache_at="AvgPool3d", draws=4, unfreeze=(Unfreeze(0, "new"),)),
    loss=LossConfig(class_weights="root"),
    optimizer=OptimizerConfig(learning_rate=1e-2, weight_decay=5e-2),
    epochs=20,
    batch_size=64,
    weight_average=0.7,
    folds=4,
    refit_on="train+val",
    card=CardText(
        provenance=(
            "i3d_light: DeepMind's Inception-v1 I3D trained on Kinetics-400 (Apache-2.0) up to Mixed_4c, its wide "
            "convolutions split in space and time by singular values; the output learnt from labels "
            "(models/configs/home_light.py)."
        ),
        licence="AGPL-3.0 (this project); starting weights Apache-2.0 (DeepMind), videos MIT and CC BY 4.0 (see data)",
        data=(
            "23 videos of GMDCSA-24 (MIT; 14 acted falls, four people, three rooms) and 507 person tracks of "
            "'Surveillance Camera Fight' (MIT), PETS09-S2L1 and an Intel sample video (CC BY 4.0), labelled by eye "
            "(models/configs/home_tracks)."
        ),
        limits=(
            "Falls are acted, by four healthy adults, before a camera at table height; nobody old, no walking aid, no "
            "ceiling camera. The person detector loses people who lie far away or on a bed. It is no medical device, "
            "and nobody's safety may rest on it."
        ),
        recipes={"cpu": f"{COMMAND} (2 cores: minutes)", "gpu": f"KERAS_BACKEND=jax {COMMAND}, or torch"},
    ),
    description=__doc__ or "",
)
