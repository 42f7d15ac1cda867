"""What two nodes' inference processes say to each other about one stream, over a connection of its own.

borrower → lender    Hello ClipOffer LentClip NoClip TrackGone, and LoadReport once a second
lender → borrower    Welcome ModelProblem ClipWanted ScoresAnswer ShadowAnswer, and LoanTerms for each LoadReport

All but LentClip and LoanTerms are what a stream's process and its own machine's worker say (``inference_messages``).
"""

from __future__ import annotations

from dataclasses import dataclass

from service.processes.inference_messages import FloatArray
from service.processes.messages import ByteArray, message


@message("lent_clip")
@dataclass(frozen=True, slots=True, eq=False)
class LentClip:
    """A clip's pictures as ``clip_jpeg`` packs them. ``order`` empty: those of the scene sent last.

    ``jpeg``: uint8 (N,), the file's bytes. ``box``: float32 (4,) or None.
    """

    track_id: int
    model: str
    first_sample: int
    provisional: bool
    order: tuple[int, ...]
    jpeg: ByteArray
    box: FloatArray | None = None


@message("loan_terms")
@dataclass(frozen=True, slots=True)
class LoanTerms:
    """Whether the lender classifies the stream's clips, and how long a person waits between two (see ``Plan``).

    ``reason``: why it does not.
    """

    granted: bool
    hop_s: float = 0.0
    settled_hop_s: float = 0.0
    reason: str = ""
