"""One thing to learn from: a character posed, stretched, turned and mirrored, as points, and its joints in an order.

Poses are those of the character's clips, or its joints turned at random (as RigAnything and UniRig do it) while its
bones grow and shrink, which makes other bodies out of few; joints come breadth first with siblings shuffled, so that no
order of theirs is learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unreel.modalities.rig.rig.bodies import Character, Skin
from unreel.modalities.rig.subject import farthest_first
from unreel.modalities.skeleton.kinematics import Ints, forward
from unreel.modalities.skeleton.mesh import Box, box_of
from unreel.modalities.skeleton.rotations import Floats, from_axis_angle, multiply, unit
from unreel.modalities.skeleton.skinning import skin, skin_matrices
from unreel.modalities.skeleton.surface import Samples, sample_surface


@dataclass(frozen=True)
class Augment:
    """How much is changed. Shares are of examples; angles in degrees; jitter in unit boxes.

    ``grow`` and ``stretch`` are standard deviations of the logarithm of bones' lengths and of the body's sides.
    """

    clip_share: float = 0.3
    random_share: float = 0.45
    bend: float = 18.0
    grow: float = 0.15
    stretch: float = 0.12
    mirror_share: float = 0.5
    turn_share: float = 0.5
    sway: float = 8.0
    coarse_share: float = 0.25
    jitter: float = 0.002
    normal_jitter: float = 0.05


@dataclass(frozen=True, eq=False)
class Example:
    """``surface`` (N, 6), farthest first for the tokens; joints (J, 3) in the unit box and parents (J,), breadth first
    (the root's is 0); ``asked`` (Q, 6) are points with known ``weights`` (Q, J)."""

    surface: Floats
    joints: Floats
    parents: Ints
    asked: Floats
    weights: Floats


def make_example(
    character: Character, points: int, tokens: int, asked: int, rng: np.random.Generator, change: Augment | None
) -> Example:
    """A changed character; as it is, with siblings in their own order, without ``change``."""
    coarse = change is not None and rng.random() < change.coarse_share
    body = character.skins[-1 if coarse else 0]
    positions, spots, mirrored = body.positions, character.skeleton.positions, False
    if change is not None:
        world = pose(character, change, rng)
        if world is not None:
            matrices = skin_matrices(world, character.skeleton.inverse_binds)
            positions, spots = skin(positions, body.joints, body.weights, matrices), world[:, :3, 3]
        (positions, spots), mirrored = moved((positions, spots), change, rng)
    samples = sample_surface(positions, body.faces, points, int(rng.integers(2**31)))
    box = box_of(positions[np.unique(body.faces)])
    surface = told(samples, box, -1 if mirrored else 1, change, rng)
    order = breadth_first(character.skeleton.parents, None if change is None else rng)
    place = np.argsort(order)
    parents = np.maximum(place[np.maximum(character.skeleton.parents[order], 0)], 0)
    chosen = rng.permutation(points)[:asked]
    weights = carried(body, samples, chosen, len(order))[:, order]
    return Example(
        surface[farthest_first(surface[:, :3], tokens)], box.to_unit(spots)[order], parents, surface[chosen], weights
    )


def pose(character: Character, change: Augment, rng: np.random.Generator) -> Floats | None:
    """World matrices (J, 4, 4) of a pose from a clip, or of joints turned and bones grown at random; None at rest."""
    draw, skeleton = rng.random(), character.skeleton
    if draw < change.clip_share and len(character.poses):
        chosen: Floats = character.poses[rng.integers(len(character.poses))]
        return chosen
    if draw < change.clip_share + change.random_share:
        count = len(skeleton)
        angles = np.radians(change.bend) * rng.standard_normal(count) * (rng.random(count) < 0.5)
        angles[0] = 0.0
        turns = multiply(skeleton.rotations, from_axis_angle(unit(rng.standard_normal((count, 3))), angles))
        longer = np.exp(change.grow * rng.standard_normal((count, 1)).clip(-2, 2))
        thicker = np.exp(0.5 * change.grow * rng.standard_normal((count, 1)).clip(-2, 2) * np.ones(3))
        world: Floats = forward(skeleton.parents, skeleton.translations * longer, turns, thicker)
        return world.astype(np.float32)
    return None


def moved(arrays: Sequence[Floats], change: Augment, rng: np.random.Generator) -> tuple[list[Floats], bool]:
    """Points (N, 3) stretched, mirrored, turned about the vertical (any way, or a little) and tilted a little; and
    whether they were mirrored, which turns faces inside out."""
    stretch = np.exp(change.stretch * rng.standard_normal(3).clip(-2, 2))
    mirrored = bool(rng.random() < change.mirror_share)
    if mirrored:
        stretch[0] = -stretch[0]
    yaw = rng.uniform(0, 360) if rng.random() < change.turn_share else change.sway * rng.standard_normal()
    pitch, roll = 0.5 * change.sway * rng.standard_normal(2)
    matrix = np.eye(3)
    for axis, angle in ((0, pitch), (2, roll), (1, yaw)):
        matrix = rotation(axis, np.radians(angle)) @ matrix
    return [((array * stretch) @ matrix.T).astype(np.float32) for array in arrays], mirrored


def rotation(axis: int, angle: float) -> Floats:
    """The matrix (3, 3) that turns by ``angle`` radians around an axis."""
    matrix = np.eye(3)
    a, b = (axis + 1) % 3, (axis + 2) % 3
    matrix[a, a] = matrix[b, b] = np.cos(angle)
    matrix[b, a] = np.sin(angle)
    matrix[a, b] = -matrix[b, a]
    return matrix


def told(samples: Samples, box: Box, side: int, change: Augment | None, rng: np.random.Generator) -> Floats:
    """Points and normals (N, 6) in the unit box, jittered; with ``side`` -1 the normals turned to the other side."""
    points, normals = box.to_unit(samples.points), side * samples.normals
    if change is not None:
        points = points + change.jitter * rng.standard_normal(points.shape)
        normals = unit(normals + change.normal_jitter * rng.standard_normal(normals.shape))
    return np.concatenate([points, normals], 1).astype(np.float32)


def breadth_first(parents: Ints, rng: np.random.Generator | None) -> Ints:
    """Joints level by level, the children of each shuffled if there is a ``rng``: ``order[new] = old``."""
    children: list[list[int]] = [[] for _ in parents]
    for child, parent in enumerate(parents[1:], 1):
        children[parent].append(child)
    walk = [0]
    for joint in walk:
        walk += children[joint] if rng is None else rng.permutation(children[joint]).astype(int).tolist()
    return np.asarray(walk)


def carried(body: Skin, samples: Samples, chosen: Ints, joints: int) -> Floats:
    """Weights (Q, joints) of chosen samples: the mean of their face's corners."""
    corners = body.faces[samples.faces[chosen]]
    shares = samples.corners[chosen][..., None] * body.weights[corners]
    table = np.zeros((len(chosen), joints), np.float32)
    rows = np.broadcast_to(np.arange(len(chosen))[:, None, None], shares.shape)
    np.add.at(table, (rows, body.joints[corners]), shares)
    return table
