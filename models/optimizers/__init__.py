"""Optimisers that Keras lacks. Importing this package registers them, so that saved trainings load."""

from models.optimizers.layer_rates import LayerRates
from models.optimizers.lookahead import Lookahead
from models.optimizers.radam import RAdam

__all__ = ["LayerRates", "Lookahead", "RAdam"]
