"""What array a card's network is given: colours, optical flow, or both as channels of one clip.

Reading a card's kind imports no network library; ``models.runtimes.flow_input`` makes the arrays, the graph takes them
apart again (``models.networks.packed_clip``).
"""

from __future__ import annotations

from models.weights.cards import ClipShape, ModelCard

FLOW_CHANNELS = 2
FLOW_KINDS = ("_flow",)  # endings of the kinds on the cards of networks that read flow alone
BOTH_KINDS = ("_fuse", "two_stream_i3d")  # and of those that read colours too


def channels(card: ModelCard) -> int:
    """→ channels of the array that the network is given: 3 colours, 2 of flow, or 5."""
    if card.kind.endswith(FLOW_KINDS):
        return FLOW_CHANNELS
    return 3 + FLOW_CHANNELS if card.kind.endswith(BOTH_KINDS) else 3


def network_shape(card: ModelCard, clip_shape: ClipShape | None = None) -> ClipShape:
    """→ (T, H, W, channels) of the array for clips of ``clip_shape`` (default: the card's)."""
    frames, height, width, _ = clip_shape or card.clip_shape
    return frames, height, width, channels(card)
