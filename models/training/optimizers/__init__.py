"""Optimisers that Keras lacks. Importing this package registers them, so that saved trainings load."""

from models.training.optimizers.layer_rates import LayerRates
from models.training.optimizers.lookahead import Lookahead
from models.training.optimizers.radam import RAdam

__all__ = ["LayerRates", "Lookahead", "RAdam"]
