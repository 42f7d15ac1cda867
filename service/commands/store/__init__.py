"""``actoscope store …``: the bucket or folder where data sets, models and states of trainings lie."""
