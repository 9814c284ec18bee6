"""Nobody floats: the root is let down, or lifted, until the lowest joint of the last moments is on the ground.

A network that draws heights pose by pose may come to walk in the air, where nothing calls it back. A leap is shorter
than what is looked back at, so it stays a leap.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from unreel.modalities.motion.body import BODY
from unreel.modalities.skeleton.rotations import Floats

MOMENTS = 24  # frames that are looked back at: 0.8 s
EASE = 15.0  # frames in which what is missing falls to 1 / e of itself
GROUND = float(BODY.positions[:, 1].min())  # where the lowest joint of a standing body is, metres


def grounded(lowest_T: Floats, state: Tensor | None) -> tuple[Floats, Tensor]:
    """How far to move each frame up (T,), for heights (T,) of the lowest joint; and the state to go on from, (25,).

    Frame by frame, so that chunks of any length give the same. ``state`` None begins: unmoved, nothing looked back at.
    """
    recent = [np.inf] * MOMENTS if state is None else state[1:].tolist()
    moved = 0.0 if state is None else float(state[0])
    found = []
    for low in lowest_T.tolist():
        recent = [*recent[1:], low]
        moved += (GROUND - min(recent) - moved) / EASE
        found.append(moved)
    return np.asarray(found), torch.tensor([moved, *recent], dtype=torch.float64)
