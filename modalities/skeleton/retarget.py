"""A motion carried from one skeleton to another: joints by name, rest poses allowed for, steps scaled to the legs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from unreel.engine.errors import UserError
from unreel.modalities.skeleton.kinematics import Ints, local_turns
from unreel.modalities.skeleton.motion import Motion
from unreel.modalities.skeleton.names import role, roles
from unreel.modalities.skeleton.rotations import IDENTITY, Floats, between, conjugate, multiply, rotate
from unreel.modalities.skeleton.skeleton import Skeleton

# The joint a bone points at, the first that is there.
AIMS = {
    "hips": ("spine", "spine2", "chest", "neck", "head"),
    "spine": ("spine2", "chest", "neck", "head"),
    "spine2": ("chest", "neck", "head"),
    "chest": ("neck", "head"),
    "neck": ("head",),
    "clavicle": ("arm",),
    "arm": ("forearm",),
    "forearm": ("hand",),
    "thigh": ("shin",),
    "shin": ("foot",),
    "foot": ("toes",),
}


UPRIGHT = ("head", "foot", "toes")  # without an aim of their own these keep to the world, as feet stand on the ground


@dataclass(frozen=True, eq=False)
class Middle:
    """A point of a skeleton that moves with it: between the thigh joints, else the hips, else the root.

    It lies where the root does, plus ``ways`` (K, 3) turned as ``joints`` (K,) are in the world.
    """

    joints: Ints
    ways: Floats

    @classmethod
    def of(cls, skeleton: Skeleton, parts: Mapping[str, int]) -> Middle:
        """``parts`` are the roles of its joints."""
        thighs = [parts[name] for name in ("left thigh", "right thigh") if name in parts]
        ends = thighs if len(thighs) == 2 else [parts.get("hips", 0)]
        ways: dict[int, Floats] = {}
        for joint in ends:
            while (above := int(skeleton.parents[joint])) >= 0:
                ways[above] = ways.get(above, np.zeros(3)) + skeleton.translations[joint] / len(ends)
                joint = above
        return cls(np.asarray(list(ways), np.int64), np.asarray(list(ways.values())).reshape(-1, 3))

    def away(self, turns: Floats) -> Floats:
        """From the root to the point (..., 3), where joints are turned in the world by ``turns`` (..., J, 4)."""
        return np.asarray(rotate(turns[..., self.joints, :], self.ways).sum(-2))


@dataclass(frozen=True, eq=False)
class Retargeter:
    """How motions of one skeleton go to another, found once: `apply` does it to a motion, or to each part of a stream.

    ``leads`` (J,) is for each joint of the target the source joint it turns with (the number of source joints: none),
    ``holds`` (J, 4) what it is turned by before that; ``facing`` (4,) turns the source to where the target looks.
    """

    source: Skeleton
    target: Skeleton
    pairs: dict[str, str]  # target joint -> source joint, by name
    scale: float  # target steps per source step
    lift: float  # metres that the target's middle is higher at rest than the source's, scaled
    facing: Floats
    leads: Ints
    holds: Floats
    middles: tuple[Middle, Middle]  # of source and target

    @classmethod
    def of(cls, source: Skeleton, target: Skeleton, names: Mapping[str, str] | None = None) -> Retargeter:
        """Match joints, directions and sizes.

        Joints with the same name belong together, then those with the same role in a body; ``names`` (target joint ->
        source joint) goes before both. A bone turns so that it points where the source's bone points, however the rest
        poses differ; a joint that is not in the source keeps its rest rotation. The middle of the thigh joints (or the
        root) follows the source's, scaled by the length of the legs (or of the whole). Raises UserError when fewer than
        two joints match.
        """
        pairs = match(source, target, names)
        if len(pairs) < min(2, len(source)):
            raise UserError(
                f"no joints of the two skeletons belong together: {_some(source.names)} and {_some(target.names)}; "
                "give a map from target to source names"
            )
        parts, theirs = _parts(source), _parts(target)
        facing = _facing(source, target, parts, theirs)
        aims = _aims(source, target, pairs, parts, theirs, facing)
        middles = Middle.of(source, parts), Middle.of(target, theirs)
        scale = _length(target, theirs) / _length(source, parts)
        high, mine = (_height(one, middle) for one, middle in zip((source, target), middles, strict=True))
        by_name = {target.names[mine]: source.names[other] for mine, other in sorted(pairs.items())}
        leads, holds = _holds(source, target, pairs, aims, facing)
        return cls(source, target, by_name, scale, mine - scale * high, facing, leads, holds, middles)

    @property
    def still(self) -> tuple[str, ...]:
        """Joints of the target that nothing moves: they keep their rest pose."""
        return tuple(name for name in self.target.names if name not in self.pairs)

    @property
    def unused(self) -> tuple[str, ...]:
        """Joints of the source that move nothing."""
        used = set(self.pairs.values())
        return tuple(name for name in self.source.names if name not in used)

    def apply(self, motion: Motion) -> Motion:
        """A motion of the source skeleton on the target."""
        own, theirs = self.middles
        turns = motion.turns().astype(np.float64)
        free = np.tile([0.0, 0.0, 0.0, 1.0], (motion.frames, 1, 1))
        leading = np.concatenate([turns, free], 1)[:, self.leads]
        world = multiply(multiply(self.facing, leading), self.holds)
        middle = rotate(self.facing, motion.root + own.away(turns)) * self.scale + (0, self.lift, 0)
        local = local_turns(self.target.parents, world)
        return Motion(self.target, motion.fps, middle - theirs.away(world), local, motion.name, motion.notes)


def retarget(motion: Motion, target: Skeleton, names: Mapping[str, str] | None = None) -> Motion:
    """One motion on another skeleton, as `Retargeter.of` says."""
    return Retargeter.of(motion.skeleton, target, names).apply(motion)


def match(source: Skeleton, target: Skeleton, names: Mapping[str, str] | None = None) -> dict[int, int]:
    """Target joint -> source joint: by ``names``, by role, then by equal names that have no role.

    Skeletons with all the same names match name by name.
    """
    pairs: dict[int, int] = {target.index(mine): source.index(other) for mine, other in (names or {}).items()}
    place = {name: joint for joint, name in enumerate(source.names)}
    alike = set(place) == set(target.names)
    if not alike:
        parts, theirs = _parts(source), _parts(target)
        for part, joint in theirs.items():
            if part in parts and joint not in pairs and parts[part] not in pairs.values():
                pairs[joint] = parts[part]
    for joint, name in enumerate(target.names):
        if name in place and joint not in pairs and (alike or role(name) is None):
            pairs[joint] = place[name]
    return pairs


def _parts(skeleton: Skeleton) -> dict[str, int]:
    """Role -> joint, where the hips are what carries both legs and the trunk, whatever it is called."""
    parts = dict(roles(skeleton))
    trunk = next((parts[role] for role in ("spine", "spine2", "chest", "neck", "head") if role in parts), None)
    if trunk is not None and {"left thigh", "right thigh"} <= set(parts):
        ways = []
        for joint in (parts["left thigh"], parts["right thigh"], trunk):
            way = [joint]
            while skeleton.parents[way[-1]] >= 0:
                way.append(int(skeleton.parents[way[-1]]))
            ways.append(way)
        shared = [joint for joint in ways[0][1:] if joint in ways[1] and joint in ways[2]]
        if shared:
            parts["hips"] = shared[0]
    return parts


def _facing(source: Skeleton, target: Skeleton, parts: dict[str, int], theirs: dict[str, int]) -> Floats:
    """The quaternion, of whole quarter turns around y, that makes the source face as the target does at rest."""
    across = []
    for skeleton, found in ((source, parts), (target, theirs)):
        for part in ("thigh", "arm", "clavicle"):
            if {f"left {part}", f"right {part}"} <= set(found):
                way = skeleton.positions[found[f"left {part}"]] - skeleton.positions[found[f"right {part}"]]
                across.append(np.arctan2(way[0], way[2]))
                break
    if len(across) < 2:
        return np.asarray([0.0, 0.0, 0.0, 1.0])
    yaw = np.round((across[1] - across[0]) / (np.pi / 2)) * (np.pi / 2)
    return np.asarray([0.0, np.sin(yaw / 2), 0.0, np.cos(yaw / 2)])


def _aims(
    source: Skeleton,
    target: Skeleton,
    pairs: dict[int, int],
    parts: dict[str, int],
    theirs: dict[str, int],
    facing: Floats,
) -> dict[int, Floats]:
    """For target joints the turn (4,) that brings the bone's rest direction onto that of the source's bone."""
    aims: dict[int, Floats] = {}
    for part, joint in theirs.items():
        side, _, kind = part.rpartition(" ")
        if joint not in pairs:
            continue
        if kind in UPRIGHT:
            aims[joint] = np.asarray([0, 0, 0, 1.0])
        for aim in AIMS.get(kind, ()):
            end = f"{side} {aim}".strip()
            if end in theirs and end in parts and parts[end] != pairs[joint]:
                mine = target.positions[theirs[end]] - target.positions[joint]
                other = rotate(facing, source.positions[parts[end]] - source.positions[pairs[joint]])
                if min(np.linalg.norm(mine), np.linalg.norm(other)) > 1e-4 * target.size:
                    same = np.allclose(mine / np.linalg.norm(mine), other / np.linalg.norm(other), atol=1e-5)
                    aims[joint] = np.asarray([0, 0, 0, 1.0]) if same or part == "hips" else between(mine, other)
                    break
    return aims


def _holds(
    source: Skeleton, target: Skeleton, pairs: dict[int, int], aims: dict[int, Floats], facing: Floats
) -> tuple[Ints, Floats]:
    """``leads`` and ``holds`` of a `Retargeter`; joints without an aim of their own take that of their parent.

    The world turn of a joint is that of its source joint against its rest, seen from where the target faces, after the
    joint's own aim and rest turn. What is in no pair stays as it is on the joint above.
    """
    back, resting, rest = conjugate(facing), source.turns.astype(np.float64), target.turns.astype(np.float64)
    leads, holds, aim = np.full(len(target), len(source)), np.zeros((len(target), 4)), np.zeros((len(target), 4))
    for joint, parent in enumerate(target.parents):
        aim[joint] = aims.get(joint, aim[parent] if parent >= 0 else np.asarray(IDENTITY))
        if joint in pairs:
            leads[joint] = pairs[joint]
            still = multiply(back, multiply(aim[joint], rest[joint]))
            holds[joint] = multiply(conjugate(resting[pairs[joint]]), still)
        elif parent < 0:
            holds[joint] = multiply(back, rest[joint])
        else:
            leads[joint], holds[joint] = leads[parent], multiply(holds[parent], target.rotations[joint])
    return leads, holds


def _length(skeleton: Skeleton, parts: dict[str, int]) -> float:
    """The mean length of the legs, else the size of the skeleton; metres."""
    legs = []
    for side in ("left", "right"):
        if {f"{side} thigh", f"{side} shin", f"{side} foot"} <= set(parts):
            thigh, shin, foot = (skeleton.positions[parts[f"{side} {part}"]] for part in ("thigh", "shin", "foot"))
            legs.append(float(np.linalg.norm(thigh - shin) + np.linalg.norm(shin - foot)))
    return max(float(np.mean(legs)) if legs else skeleton.size, 1e-6)


def _height(skeleton: Skeleton, middle: Middle) -> float:
    """How high the middle is over the ground at rest.

    The ground under a motion is the world's y = 0, wherever its rest pose floats (motion capture rests at its root).
    """
    place = skeleton.positions[0] + middle.away(skeleton.turns)
    return float(place[1]) - _ground(skeleton.positions.astype(np.float64))


def _ground(positions: Floats) -> float:
    """The height on which a rest pose stands: 0 when all joints are above it and some close, else the lowest joint."""
    low, size = float(positions[:, 1].min()), float(np.ptp(positions, axis=0).max())
    return 0.0 if 0 <= low < 0.15 * size else low


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
