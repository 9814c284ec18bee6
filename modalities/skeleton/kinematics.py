"""Forward kinematics: from what joints do against their parents to where they are in the world, and back.

Joints come with parents first. Whole levels of the tree are computed at once, so a pose costs the depth of the
skeleton in calls, not the number of its joints.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unreel.modalities.skeleton.rotations import Floats, conjugate, library, multiply, to_matrix

Ints = NDArray[np.integer[Any]]


def local_matrices(translations: Any, rotations: Any, scales: Any = None) -> Any:
    """Matrices (..., 4, 4) that scale, then rotate, then translate; arrays or tensors (..., 3), (..., 4), (..., 3)."""
    lib = library(rotations)
    turn = to_matrix(rotations)
    if scales is not None:
        turn = turn * scales[..., None, :]
    shift = translations + lib.zeros_like(turn[..., 0])
    upper = lib.concatenate([turn, shift[..., None]], -1)
    last = lib.zeros_like(upper[..., :1, :])
    last[..., 3] = 1
    return lib.concatenate([upper, last], -2)


def forward(parents: Ints, translations: Any, rotations: Any, scales: Any = None) -> Any:
    """World matrices (..., J, 4, 4) of local poses.

    ``translations`` (..., J, 3), ``rotations`` (..., J, 4) xyzw, ``scales`` (..., J, 3) or None; all arrays or all
    tensors (with gradients); leading shapes broadcast.
    """
    return _down(parents, local_matrices(translations, rotations, scales), lambda above, own: above @ own, 2)


def world_turns(parents: Ints, rotations: Floats) -> Floats:
    """World rotations (..., J, 4) of local ones."""
    return np.asarray(_down(parents, rotations, multiply, 1))


def local_turns(parents: Ints, turns: Floats) -> Floats:
    """Local rotations (..., J, 4) of world ones: the inverse."""
    local = np.array(turns)
    if len(parents) > 1:
        local[..., 1:, :] = multiply(conjugate(turns[..., parents[1:], :]), turns[..., 1:, :])
    return local


def _down(parents: Ints, local: Any, product: Callable[[Any, Any], Any], axes: int) -> Any:
    """The products of ``local`` from the root down to each joint; a joint's own numbers fill the last ``axes``."""
    levels, back = _levels(tuple(parents.tolist()))
    rest = (slice(None),) * axes
    found: list[Any] = []
    for joints, above in levels:
        own = local[(..., joints, *rest)]
        found.append(product(found[-1][(..., above, *rest)], own) if found else own)
    return library(local).concatenate(found, -1 - axes)[(..., back, *rest)]


@lru_cache(maxsize=256)
def _levels(parents: tuple[int, ...]) -> tuple[list[tuple[Ints, Ints]], Ints]:
    """The joints of each level, with the places of their parents in the level above; and where each joint comes."""
    depths: list[int] = []
    for parent in parents:
        depths.append(0 if parent < 0 else depths[parent] + 1)
    members = [np.flatnonzero(np.equal(depths, depth)) for depth in range(max(depths) + 1)]
    above = [np.zeros(1, np.int64)]
    above += [np.searchsorted(members[n], np.take(parents, joints)) for n, joints in enumerate(members[1:])]
    return list(zip(members, above, strict=True)), np.argsort(np.concatenate(members))
