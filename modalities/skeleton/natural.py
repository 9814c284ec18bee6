"""Animators' rigs made natural: feet that hang on a control at the root hang on their legs, controls are gone.

Many game rigs keep feet (and hands) under the root so that inverse kinematics can hold them. A model that learns
bodies, and a motion of bones that keep their length, want them where they grow.
"""

from __future__ import annotations

import numpy as np

from unreel.modalities.skeleton.rig import Rig
from unreel.modalities.skeleton.rotations import Floats
from unreel.modalities.skeleton.skeleton import Ints
from unreel.modalities.skeleton.skinning import top_to_dense

CLOSE = 0.02  # of the size of the mesh: as near as parts that touch
POINTS = 400  # vertices of a joint that are looked at


def natural(rig: Rig) -> Rig:
    """The rig with carrying branches of weightless joints hung on the joint they grow from, then pruned.

    A branch grows from the joint with which it shares most weight (or faces, when parts are rigid); if it shares none,
    from the one whose skin touches its own; if none does, it stays. The mesh moves in every clip as before (but for
    scales).
    """
    changes = _changes(rig)
    return (rig.rehung(changes) if changes else rig).pruned()


def _changes(rig: Rig) -> dict[int, int]:
    """New parents of joints."""
    skeleton, load = rig.skeleton, rig.weight_sums()
    own = load > 0
    branches = [
        skeleton.subtree(child)
        for joint in range(len(skeleton))
        if not own[joint] and not own[_above(skeleton.parents, joint)].any()
        for child in skeleton.children[joint]
    ]
    # Of nested branches the innermost that start with a weight count; controls above them only carry them.
    branches = [branch for branch in branches if own[branch[0]]]
    if len(branches) < 2:
        return {}
    dense = top_to_dense(rig.joints, rig.weights, len(skeleton))
    shared = dense.T @ dense + _edges(rig, dense)
    branches.sort(key=lambda branch: -float(load[branch].sum()))
    connected = set(branches[0].tolist())
    waiting = branches[1:]
    changes: dict[int, int] = {}
    while waiting:
        inside = np.asarray(sorted(joint for joint in connected if own[joint]))
        bonds = [shared[np.ix_(branch, inside)].sum(0) for branch in waiting]
        strongest = int(np.argmax([bond.max() for bond in bonds]))
        if bonds[strongest].max() > 1e-3:
            branch, parent = waiting.pop(strongest), int(inside[int(np.argmax(bonds[strongest]))])
            changes[int(branch[0])] = parent
            connected |= set(branch.tolist())
            continue
        touching = [_touching(rig, dense, branch, inside) for branch in waiting]
        nearest = min(range(len(waiting)), key=lambda number: touching[number][0])
        gap, parent = touching[nearest]
        if gap > CLOSE:
            break
        branch = waiting.pop(nearest)
        changes[int(branch[0])] = parent
        connected |= set(branch.tolist())
    return {child: parent for child, parent in changes.items() if parent != skeleton.parents[child]}


def _above(parents: Ints, joint: int) -> list[int]:
    """The ancestors of a joint."""
    found = []
    while parents[joint] >= 0:
        joint = int(parents[joint])
        found.append(joint)
    return found


def _edges(rig: Rig, dense: Floats) -> Floats:
    """How many edges of faces lie between the vertices of two joints (J, J)."""
    owner = dense.argmax(1)[rig.mesh.faces]
    table = np.zeros((dense.shape[1], dense.shape[1]))
    for a, b in ((0, 1), (1, 2), (2, 0)):
        np.add.at(table, (owner[:, a], owner[:, b]), 1)
        np.add.at(table, (owner[:, b], owner[:, a]), 1)
    return table


def _touching(rig: Rig, dense: Floats, branch: Ints, others: Ints) -> tuple[float, int]:
    """The least distance from a branch's skin to that of another joint, in sizes of the mesh, and that joint."""
    owner = dense.argmax(1)
    positions, size = rig.mesh.positions, float(np.ptp(rig.mesh.positions, axis=0).max())
    mine = _spread(positions[np.isin(owner, branch)])
    best = (float("inf"), int(others[0]))
    for joint in others:
        theirs = _spread(positions[owner == joint])
        if len(mine) and len(theirs):
            gap = float(np.sqrt(((mine[:, None] - theirs[None]) ** 2).sum(-1).min())) / size
            best = min(best, (gap, int(joint)))
    return best


def _spread(points: Floats) -> Floats:
    """At most POINTS of the points, evenly through the list."""
    return points[:: max(1, -(-len(points) // POINTS))]
