"""Feet that stand, stand still: contact clean-up, frame by frame as a stream comes, with its own small memory.

While the model says that an ankle stands (or, when the heel has left, the toes) it is held where it came down, by
turning hip and knee (two bones, the law of cosines); when it leaves, what it was moved by fades, so that nothing jumps.
Root and all else stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from unreel.modalities.motion.features import Layout
from unreel.modalities.motion.poses import Poses
from unreel.modalities.skeleton.kinematics import local_turns
from unreel.modalities.skeleton.motion import Motion
from unreel.modalities.skeleton.names import roles
from unreel.modalities.skeleton.rotations import Floats, between, from_axis_angle, multiply, rotate, unit
from unreel.modalities.skeleton.skeleton import Skeleton

SURE = 0.5  # contacts from here on stand
EASE = 0.5  # of what is missing to where a foot stands is made up for from frame to frame
FADE = 0.85  # of what a foot was moved by stays, from frame to frame, once it has left
STRAIGHT = 0.993  # of its length that a leg is stretched to, unless it is straighter already: knees would pop
FARTHEST = 0.15  # metres that a foot is moved at the most; beyond that it comes down anew


@dataclass
class Foot:
    """What is remembered of a foot: which of its joints stands (0 ankle, 1 toes) and where, what it is moved by."""

    anchor: int | None = None
    stands: Floats = field(default_factory=lambda: np.zeros(3))
    moved: Floats = field(default_factory=lambda: np.zeros(3))

    def step(self, places: Floats, anchor: int | None) -> Floats:
        """What the foot is moved by (3,) in a frame in which the model puts ankle and toes at ``places`` (2, 3)."""
        if anchor is None:
            self.anchor, self.moved = None, self.moved * FADE
            return self.moved
        place = places[anchor]
        if anchor != self.anchor or np.linalg.norm(self.stands - place) > FARTHEST:
            self.anchor, self.stands = anchor, place + self.moved * FADE
        self.moved = self.moved + EASE * (self.stands - place - self.moved)
        return self.moved


class FootLock:
    """Cleans the poses of one stream, chunk after chunk. For skeletons without feet it changes nothing."""

    def __init__(self) -> None:
        self.feet = {"left": Foot(), "right": Foot()}

    def clean(self, poses: Poses) -> Poses:
        """The poses with standing feet held."""
        parts, layout = roles(poses.skeleton), Layout.of(poses.skeleton)
        motion = poses.motion
        turns = motion.turns().astype(np.float64)
        places = motion.positions().astype(np.float64)
        for side, foot in self.feet.items():
            names = [f"{side} {part}" for part in ("thigh", "shin", "foot")]
            if not set(names) <= set(parts):
                continue
            leg = [parts[name] for name in names]
            joints = [leg[2], parts.get(f"{side} toes", leg[2])]
            sure = poses.contacts[:, [layout.feet.index(joint) for joint in joints]] >= SURE
            anchors = [0 if ankle else 1 if toes else None for ankle, toes in sure]
            shift = np.stack([foot.step(places[n, joints], anchor) for n, anchor in enumerate(anchors)])
            target = places[:, leg[2]] + shift
            moved = np.flatnonzero(np.linalg.norm(target - places[:, leg[2]], axis=1) > 1e-6)
            thigh, shin = bent(places[moved][:, leg], target[moved])
            turns[moved, leg[0]] = multiply(thigh, turns[moved, leg[0]])
            turns[moved, leg[1]] = multiply(shin, turns[moved, leg[1]])
        local = local_turns(poses.skeleton.parents, _carried(turns, poses.skeleton, motion))
        return replace(poses, rotations=Motion(poses.skeleton, poses.fps, poses.root, local).rotations)


def _carried(turns: Floats, skeleton: Skeleton, motion: Motion) -> Floats:
    """World turns; what hangs on a leg without being one of its joints (twist bones) goes with its parent."""
    for joint in _hanging(skeleton):
        turns[:, joint] = multiply(turns[:, skeleton.parents[joint]], motion.rotations[:, joint].astype(np.float64))
    return turns


@lru_cache(maxsize=64)
def _hanging(skeleton: Skeleton) -> tuple[int, ...]:
    """The joints on thighs and shins that are neither joints of a leg nor on a foot, parents first."""
    found: dict[str, set[int]] = {"thigh": set(), "shin": set(), "foot": set()}
    own: set[int] = set()
    for name, joint in roles(skeleton).items():
        kind = name.rpartition(" ")[2]
        if kind in found:
            own.add(joint)
            found[kind] |= {int(below) for below in skeleton.subtree(joint)}
    return tuple(sorted((found["thigh"] | found["shin"]) - found["foot"] - own))


def bent(leg_T33: Floats, target_T3: Floats) -> tuple[Floats, Floats]:
    """World turns (T, 4) of thigh and shin that bring the end of a leg (hip, knee, ankle) to a target, or towards it.

    The knee bends in the plane it is in; a straight one bends towards +Z.
    """
    hip, knee, ankle = np.moveaxis(np.asarray(leg_T33, np.float64), -2, 0)
    upper, lower = np.linalg.norm(knee - hip, axis=-1), np.linalg.norm(ankle - knee, axis=-1)
    reach = np.linalg.norm(target_T3 - hip, axis=-1)
    longest = np.maximum(STRAIGHT * (upper + lower), np.linalg.norm(ankle - hip, axis=-1))
    reach = np.clip(reach, np.abs(upper - lower) + 1e-4, longest)
    now = _angle(hip - knee, ankle - knee)
    wanted = np.arccos(np.clip((upper**2 + lower**2 - reach**2) / np.maximum(2 * upper * lower, 1e-9), -1, 1))
    normal = np.cross(ankle - knee, hip - knee)
    flat = np.linalg.norm(normal, axis=-1, keepdims=True) < 1e-6
    axis = unit(np.where(flat, np.asarray([1.0, 0.0, 0.0]), normal))
    shin = from_axis_angle(axis, now - wanted)
    after = knee + rotate(shin, ankle - knee)
    whole = between(after - hip, target_T3 - hip)
    return whole, multiply(whole, shin)


def _angle(a: Floats, b: Floats) -> Floats:
    return np.asarray(np.arccos(np.clip(np.sum(unit(a) * unit(b), -1), -1, 1)))
