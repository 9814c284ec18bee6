"""What the state of a chunk says: one joint, or that there are no more.

A state is (1, 4 + K) for skeletons of at most K joints: the position in the unit box times ``SPAN``, whether this is
the end (above 0), and one number per earlier joint, of which the highest is the parent's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

SPAN = 4.0  # the unit box is this wide in a state, so that positions spread about as wide as the noise
FIXED = 4  # channels before the parents'
NEVER = -1e4  # the logit of what cannot be


@dataclass(frozen=True, slots=True)
class Joint:
    """What an event shows: joint ``index`` hangs on ``parent`` (-1 for the root); ``position`` in the mesh's units."""

    index: int
    name: str
    parent: int
    position: tuple[float, float, float]


def states_of(positions_J3: Tensor, parents: Sequence[int], joints: int) -> Tensor:
    """States (J, 1, 4 + joints) of the joints of a skeleton in the unit box, parents first; the root's is itself."""
    states = torch.zeros(len(parents), 1, FIXED + joints)
    states[:, 0, :3] = positions_J3 * SPAN
    states[:, 0, 3] = -1.0
    above = torch.tensor([max(parent, 0) for parent in parents])
    states[torch.arange(len(parents)), 0, FIXED + above] = 1.0
    return states


def position_of(state_1C: Tensor) -> Tensor:
    """Where the joint is (3,), in the unit box."""
    return state_1C[0, :3] / SPAN


def parent_of(state_1C: Tensor) -> int:
    """Which earlier joint it hangs on; the root on itself."""
    return int(state_1C[0, FIXED:].argmax())


def is_end(state_1C: Tensor) -> bool:
    """Whether this is no joint but the end of the skeleton."""
    return bool(state_1C[0, 3] > 0)


def name_of(index: int) -> str:
    """What joint ``index`` is called."""
    return "root" if index == 0 else f"joint_{index:02d}"
