"""Keras layers, one a file. Importing this package registers them, so that saved networks load."""

from models.layers.fold_time import FoldTime
from models.layers.frame_attention import FrameAttention
from models.layers.frame_mask import FrameMask
from models.layers.inception3d import Inception3D
from models.layers.location_embedding import LocationEmbedding
from models.layers.pick_frames import PickFrames
from models.layers.query_unit import QueryUnit
from models.layers.recolour import Recolour
from models.layers.roi_align import RoiAlign
from models.layers.squeeze_excite import GateAxes, SqueezeExcite3D
from models.layers.unfold_time import UnfoldTime
from models.layers.unit3d import Unit3D

__all__ = [
    "FoldTime",
    "FrameAttention",
    "FrameMask",
    "GateAxes",
    "Inception3D",
    "LocationEmbedding",
    "PickFrames",
    "QueryUnit",
    "Recolour",
    "RoiAlign",
    "SqueezeExcite3D",
    "UnfoldTime",
    "Unit3D",
]
