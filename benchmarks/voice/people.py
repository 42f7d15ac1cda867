"""Who is so close to a person, and for so long, that both are looked at together."""

from __future__ import annotations

import numpy as np

from pipeline.motion import Doubles, Way, contact

CONTACT_SHARE = 0.2  # of the time in reach of each other from which two people are a pair


def partner(way: Way) -> Doubles | None:
    """→ (T, 4): the boxes of whoever is in reach most, gaps filled with the nearest sight of them; None: nobody is."""
    if not len(way.others):
        return None
    touching = contact(way)
    best = int(touching.mean(axis=1).argmax())
    if float((touching[best] > 0).mean()) < CONTACT_SHARE:
        return None
    boxes = way.others[best]
    seen = np.flatnonzero(np.isfinite(boxes[:, 0]))
    nearest = seen[np.abs(np.arange(len(boxes))[:, None] - seen[None]).argmin(axis=1)]
    return np.asarray(boxes[nearest])
