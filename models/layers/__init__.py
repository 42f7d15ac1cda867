"""Keras layers, one a file. Importing this package registers them, so that saved networks load."""

from models.layers.bottleneck3d import Bottleneck3D
from models.layers.causal_squeeze_excite import CausalSqueezeExcite
from models.layers.conv_norm3d import ConvNorm3D
from models.layers.cumulative_mean import CumulativeMean
from models.layers.depthwise_conv3d import DepthwiseConv3D
from models.layers.fold_time import FoldTime
from models.layers.frame_step import FrameStep
from models.layers.frames.feed_forward import FeedForward
from models.layers.frames.frame_attention import FrameAttention
from models.layers.frames.frame_mask import FrameMask
from models.layers.frames.frame_pool import FramePool
from models.layers.frames.frame_positions import FramePositions
from models.layers.frames.frame_votes import FrameVotes
from models.layers.hard_squeeze_excite import HardSqueezeExcite3D
from models.layers.inception3d import Inception3D
from models.layers.inverted_residual3d import InvertedResidual3D
from models.layers.location_embedding import LocationEmbedding
from models.layers.movinet_block import MovinetBlock
from models.layers.packed_stream import PackedStream
from models.layers.pick_frames import PickFrames
from models.layers.query_unit import QueryUnit
from models.layers.recolour import Recolour
from models.layers.roi_align import RoiAlign
from models.layers.same_average_pool import SameAveragePool
from models.layers.shuffle_block3d import ShuffleBlock3D
from models.layers.squeeze_excite import GateAxes, SqueezeExcite3D
from models.layers.temporal_depthwise import TemporalDepthwise
from models.layers.unfold_time import UnfoldTime
from models.layers.unit3d import Unit3D

__all__ = [
    "Bottleneck3D",
    "CausalSqueezeExcite",
    "ConvNorm3D",
    "CumulativeMean",
    "DepthwiseConv3D",
    "FeedForward",
    "FoldTime",
    "FrameAttention",
    "FrameMask",
    "FramePool",
    "FramePositions",
    "FrameStep",
    "FrameVotes",
    "GateAxes",
    "HardSqueezeExcite3D",
    "Inception3D",
    "InvertedResidual3D",
    "LocationEmbedding",
    "MovinetBlock",
    "PackedStream",
    "PickFrames",
    "QueryUnit",
    "Recolour",
    "RoiAlign",
    "SameAveragePool",
    "ShuffleBlock3D",
    "SqueezeExcite3D",
    "TemporalDepthwise",
    "UnfoldTime",
    "Unit3D",
]
