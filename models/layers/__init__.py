"""Keras layers, one a file. Importing this package registers them, so that saved networks load."""

from models.layers.inception3d import Inception3D
from models.layers.location_embedding import LocationEmbedding
from models.layers.query_unit import QueryUnit
from models.layers.roi_align import RoiAlign
from models.layers.squeeze_excite import GateAxes, SqueezeExcite3D
from models.layers.unit3d import Unit3D

__all__ = ["GateAxes", "Inception3D", "LocationEmbedding", "QueryUnit", "RoiAlign", "SqueezeExcite3D", "Unit3D"]
