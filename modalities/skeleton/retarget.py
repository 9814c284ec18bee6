"""A motion carried from one skeleton to another: joints by name, rest poses allowed for, steps scaled to the legs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from unreel.engine.errors import UserError
from unreel.modalities.skeleton.motion import Motion
from unreel.modalities.skeleton.names import role, roles
from unreel.modalities.skeleton.rotations import Floats, between, conjugate, multiply, rotate
from unreel.modalities.skeleton.skeleton import Skeleton, forward, local_turns

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
class Retargeted:
    """The motion on the new skeleton, and how it got there. ``pairs``: target joint -> source joint, by name."""

    motion: Motion
    pairs: dict[str, str]
    still: tuple[str, ...]  # joints of the target that nothing moves: they keep their rest pose
    unused: tuple[str, ...]  # joints of the source that move nothing
    scale: float  # target steps per source step


def retarget(motion: Motion, target: Skeleton, names: Mapping[str, str] | None = None) -> Retargeted:
    """The motion on another skeleton.

    Joints with the same name belong together, then those with the same role in a body; ``names`` (target joint ->
    source joint) goes before both. A bone turns so that it points where the source's bone points, however the rest
    poses differ; a joint that is not in the source keeps its rest rotation. The middle of the thigh joints (or the
    root) follows the source's, scaled by the length of the legs (or of the whole). Raises UserError when fewer than
    two joints match.
    """
    source = motion.skeleton
    pairs = match(source, target, names)
    if len(pairs) < min(2, len(source)):
        raise UserError(
            f"no joints of the two skeletons belong together: {_some(source.names)} and {_some(target.names)}; "
            "give a map from target to source names"
        )
    parts, theirs = _parts(source), _parts(target)
    facing = _facing(source, target, parts, theirs)
    turns, rest = motion.turns(), source.turns
    away = multiply(turns, np.broadcast_to(conjugate(rest), turns.shape))  # world turn of each joint against its rest
    away = _turned_by(away, facing)
    aims = _aims(source, target, pairs, parts, theirs, facing)
    world = _pose(target, pairs, away, aims)
    local = local_turns(target.parents, world)
    scale = _length(target, theirs) / _length(source, parts)
    wanted = _wanted(motion, target, parts, theirs, facing, scale)
    moved = np.tile(target.translations, (motion.frames, 1, 1)).astype(np.float64)
    there = forward(target.parents, moved, local)[..., :3, 3]
    root = moved[:, 0] + wanted - _middle(there, theirs)
    result = Motion(target, motion.fps, root, local, motion.name, motion.notes)
    used = set(pairs.values())
    return Retargeted(
        result,
        {target.names[mine]: source.names[other] for mine, other in sorted(pairs.items())},
        tuple(name for joint, name in enumerate(target.names) if joint not in pairs),
        tuple(name for joint, name in enumerate(source.names) if joint not in used),
        scale,
    )


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
    parts = roles(skeleton)
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


def _turned_by(turns: Floats, facing: Floats) -> Floats:
    """World turns (..., 4) as seen by somebody who is turned by ``facing``."""
    whole = np.broadcast_to(facing, turns.shape)
    return np.asarray(multiply(multiply(whole, turns), conjugate(whole)))


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


def _pose(target: Skeleton, pairs: dict[int, int], away: Floats, aims: dict[int, Floats]) -> Floats:
    """World rotations (T, J, 4) of the target; joints without an aim of their own take that of their parent."""
    rest = target.turns
    frames = len(away)
    world: list[Floats] = []
    aim: list[Floats] = []
    for joint, parent in enumerate(target.parents):
        aim.append(aims.get(joint, aim[parent] if parent >= 0 else np.asarray([0, 0, 0, 1.0])))
        if joint in pairs:
            still = multiply(aim[joint], rest[joint])
            world.append(multiply(away[:, pairs[joint]], np.broadcast_to(still, (frames, 4))))
        else:
            local = np.broadcast_to(target.rotations[joint], (frames, 4))
            world.append(local if parent < 0 else multiply(world[parent], local))
    return np.stack(world, 1)


def _middle(positions: Floats, parts: dict[str, int]) -> Floats:
    """The point (..., 3) that is carried over: between the thigh joints, else the hips, else the root."""
    if {"left thigh", "right thigh"} <= set(parts):
        return np.asarray((positions[..., parts["left thigh"], :] + positions[..., parts["right thigh"], :]) / 2)
    return np.asarray(positions[..., parts.get("hips", 0), :])


def _length(skeleton: Skeleton, parts: dict[str, int]) -> float:
    """The mean length of the legs, else the size of the skeleton; metres."""
    legs = []
    for side in ("left", "right"):
        if {f"{side} thigh", f"{side} shin", f"{side} foot"} <= set(parts):
            thigh, shin, foot = (skeleton.positions[parts[f"{side} {part}"]] for part in ("thigh", "shin", "foot"))
            legs.append(float(np.linalg.norm(thigh - shin) + np.linalg.norm(shin - foot)))
    return max(float(np.mean(legs)) if legs else skeleton.size, 1e-6)


def _wanted(
    motion: Motion, target: Skeleton, parts: dict[str, int], theirs: dict[str, int], facing: Floats, scale: float
) -> Floats:
    """Where the target's middle is to be (T, 3): the source's, scaled, plus what the target stands higher at rest.

    The ground under a motion is the world's y = 0, wherever its rest pose floats (motion capture rests at its root).
    """
    places = motion.positions().astype(np.float64)
    source, own = (skeleton.positions.astype(np.float64) for skeleton in (motion.skeleton, target))
    high, mine = _middle(source, parts)[1] - _ground(source), _middle(own, theirs)[1] - _ground(own)
    return np.asarray(rotate(facing, _middle(places, parts)) * scale + (0, mine - scale * high, 0))


def _ground(positions: Floats) -> float:
    """The height on which a rest pose stands: 0 when all joints are above it and some close, else the lowest joint."""
    low, size = float(positions[:, 1].min()), float(np.ptp(positions, axis=0).max())
    return 0.0 if 0 <= low < 0.15 * size else low


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
