"""Animators' rigs made natural: feet that hang on a control at the root hang on their legs, controls are gone.

Many game rigs keep feet (and hands) under the root so that inverse kinematics can hold them. A model that learns
bodies, and a motion of bones that keep their length, want them where they grow. What a joint grows from shows in the
clips: seen from there it stays where it is. Without clips, names tell of feet and hands.
"""

from __future__ import annotations

import numpy as np

from unreel.modalities.skeleton.kinematics import Ints
from unreel.modalities.skeleton.names import partners, roles
from unreel.modalities.skeleton.rig import Rig
from unreel.modalities.skeleton.rotations import Floats

FRAMES = 64  # poses looked at, over all clips
LOOSE = 0.02  # of the skeleton's size: a joint that strays further from its parent's frame is not held by it
BETTER = 0.4  # another parent has to hold it this much better
STRAY = 0.01  # of all weight: a root that carries less is a control with some slips of the brush
LIMBS = (("foot", "shin"), ("hand", "forearm"))


def natural(rig: Rig) -> Rig:
    """The rig with loose joints hung on what holds them, weightless ends and a weightless root of one child gone.

    The mesh moves in every clip as before, but for scales and for the slips of a root that went.
    """
    changes = _held(rig) if rig.clips else {}
    changes = _mirrored(rig, changes)
    changes = _named(rig, changes) | changes
    return (rig.rehung(changes) if changes else rig).pruned(STRAY)


def _held(rig: Rig) -> dict[int, int]:
    """New parents of joints that move about in the frame of theirs and stay in that of another that carries skin."""
    skeleton, own = rig.skeleton, rig.weight_sums() > 0
    strays, size = _strays(rig), max(skeleton.size, 1e-9)
    parents = skeleton.parents.copy()
    apart = np.linalg.norm(skeleton.positions[:, None] - skeleton.positions[None], axis=-1)
    carrying = [joint for joint in range(1, len(skeleton)) if own[skeleton.subtree(joint)].any()]
    changes: dict[int, int] = {}
    for joint in carrying:
        now = strays[joint, parents[joint]]
        if now < LOOSE * size:
            continue
        others = [p for p in np.flatnonzero(own) if p != joint and not _below(parents, int(p), joint)]
        held = [p for p in others if strays[joint, p] < BETTER * now]
        if held:
            least = min(strays[joint, p] for p in held)
            close = [int(p) for p in held if strays[joint, p] <= 2 * least + 0.005 * size]
            changes[joint] = parents[joint] = min(close, key=lambda p: apart[joint, p])
    return changes


def _strays(rig: Rig) -> Floats:
    """How far (root mean square, metres) each joint moves about in the frame of each other: (J, J) joint, frame."""
    skeleton = rig.skeleton
    share = max(1, FRAMES // len(rig.clips))
    poses = []
    for clip in rig.clips:
        chosen = np.unique(np.linspace(0, clip.frames - 1, share).round().astype(np.int64))
        poses.append(clip.globals(skeleton)[chosen])
    world = np.concatenate([skeleton.globals[None], *poses]).astype(np.float64)
    back = np.linalg.inv(world)[..., :3, :]
    places = world[..., :3, 3]
    seen = np.einsum("fpab,fjb->fjpa", back[..., :3], places) + back[:, None, :, :, 3]
    return np.asarray(np.sqrt(((seen - seen.mean(0)) ** 2).sum(-1).mean(0)))


def _below(parents: Ints, joint: int, above: int) -> bool:
    """Whether ``above`` is on the way from a joint to the root."""
    while joint >= 0:
        if joint == above:
            return True
        joint = int(parents[joint])
    return False


def _mirrored(rig: Rig, changes: dict[int, int]) -> dict[int, int]:
    """The changes, and the same on the other side of joints whose names come in pairs."""
    pairs, parents = partners(rig.skeleton), rig.skeleton.parents.copy()
    for child, parent in changes.items():
        parents[child] = parent
    both = dict(changes)
    for child, parent in changes.items():
        other, above = int(pairs[child]), int(pairs[parent])
        if other not in both and other != child and above != parent and not _below(parents, above, other):
            both[other] = above
    return both


def _named(rig: Rig, changes: dict[int, int]) -> dict[int, int]:
    """Feet and hands, by name, that do not hang on their shins and forearms yet."""
    parts, parents = roles(rig.skeleton), rig.skeleton.parents.copy()
    for joint, above in changes.items():
        parents[joint] = above
    found = {}
    for side in ("left", "right"):
        for end, limb in LIMBS:
            child, parent = parts.get(f"{side} {end}"), parts.get(f"{side} {limb}")
            if child is None or parent is None or _below(parents, child, parent) or _below(parents, parent, child):
                continue
            found[child] = parent
    return found
