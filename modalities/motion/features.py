"""Motions as numbers that a network can learn, and back without inverse kinematics.

The layout follows the 272 numbers of MotionStreamer (Xiao et al. 2025, section 3.1), for any skeleton of J joints with
F feet, per frame:

    2       velocity of the root over the ground, metres per second, in the heading frame
    1       turn of the heading, radians per second
    1       height of the root, metres
    3(J-1)  places of the other joints from the root's point on the ground, in the heading frame, metres
    3J      their velocities and the root's, in the heading frame, metres per second
    6J      local rotations: the first two columns (Zhou et al. 2019); the root's without the heading
    F       whether a foot stands (1) or moves (0)

The heading is the turn around the vertical of the root against its rest pose. Velocities lead *into* a frame, so that
nothing of a frame waits for the next. Rotations and root decode exactly; places, velocities and contacts are there
for the losses, for whoever plans, and for contact clean-up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from unreel.modalities.skeleton.motion import Motion
from unreel.modalities.skeleton.names import roles
from unreel.modalities.skeleton.rotations import (
    Floats,
    conjugate,
    from_axis_angle,
    from_matrix,
    multiply,
    rotate,
    to_matrix,
    unit,
)
from unreel.modalities.skeleton.skeleton import Skeleton

FPS = 30.0
STANDING = 0.4  # metres per second below which a foot stands
UP = np.asarray([0.0, 1.0, 0.0])

Place = tuple[float, float, float]  # x and z of the root in metres, and its heading in radians
ORIGIN: Place = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Layout:
    """Where the numbers of a skeleton lie. ``feet`` are joints that stand on the ground."""

    joints: int
    feet: tuple[int, ...]

    @classmethod
    def of(cls, skeleton: Skeleton) -> Layout:
        """Of a body the feet and toes, by their roles; none for what has no feet."""
        return cls(len(skeleton), _feet(skeleton))

    @cached_property
    def parts(self) -> dict[str, slice]:
        """Name -> numbers of a frame: velocity, turn, height, places, velocities, rotations, contacts."""
        j = self.joints
        widths = {
            "velocity": 2, "turn": 1, "height": 1, "places": 3 * (j - 1), "velocities": 3 * j, "rotations": 6 * j,
            "contacts": len(self.feet),
        }  # fmt: skip
        found, at = {}, 0
        for name, width in widths.items():
            found[name] = slice(at, at + width)
            at += width
        return found

    @property
    def width(self) -> int:
        """Numbers per frame."""
        return 12 * self.joints + 1 + len(self.feet)


@lru_cache(maxsize=64)
def _feet(skeleton: Skeleton) -> tuple[int, ...]:
    found = roles(skeleton)
    names = [f"{side} {part}" for side in ("left", "right") for part in ("foot", "toes")]
    return tuple(found[name] for name in names if name in found)


def headings(motion: Motion) -> Floats:
    """The heading (T,) of every frame in radians, without jumps of a whole turn; it turns left as it grows."""
    rest = motion.skeleton.rotations[0].astype(np.float64)
    away = multiply(motion.rotations[:, 0].astype(np.float64), np.broadcast_to(conjugate(rest), (motion.frames, 4)))
    return np.unwrap(2 * np.arctan2(away[:, 1], away[:, 3]))


def encode(motion: Motion) -> tuple[Floats, Place]:
    """The numbers (T, width) float32 of a motion, and where its root was before its first frame.

    What leads into the first frame is taken to be what leads into the second.
    """
    layout = Layout.of(motion.skeleton)
    frames, fps = motion.frames, motion.fps
    heading, root = headings(motion), motion.root.astype(np.float64)
    back = from_axis_angle(UP, -heading)
    places = motion.positions().astype(np.float64)
    turn = _steps(heading)
    step = _steps(places) * fps
    local = rotate(back[:, None], places - root[:, None] * (1.0, 0.0, 1.0))
    moving = rotate(back[:, None], step)
    rotations = motion.rotations.astype(np.float64)
    rotations[:, 0] = multiply(back, rotations[:, 0])
    columns = to_matrix(rotations)[..., :2].swapaxes(-1, -2).reshape(frames, -1)
    speed = np.linalg.norm(step[:, list(layout.feet)], axis=-1)
    numbers = np.concatenate(
        [
            moving[:, 0, [0, 2]],
            turn[:, None] * fps,
            root[:, 1:2],
            local[:, 1:].reshape(frames, -1),
            moving.reshape(frames, -1),
            columns,
            (speed < STANDING).astype(np.float64),
        ],
        1,
    )
    start = root[0] - step[0, 0] / fps
    return numbers.astype(np.float32), (float(start[0]), float(start[2]), float(heading[0] - turn[0]))


def _steps(values: Floats) -> Floats:
    """What was added to come to each frame; into the first as into the second."""
    steps = np.diff(values, axis=0)
    return np.concatenate([steps[:1] if len(steps) else np.zeros_like(values[:1]), steps])


def decode(features_TD: Floats, skeleton: Skeleton, start: Place = ORIGIN, fps: float = FPS) -> tuple[Motion, Place]:
    """The motion of numbers (T, width), and where its root is at the end: the ``start`` of what follows."""
    layout, numbers = Layout.of(skeleton), np.asarray(features_TD, np.float64)
    part = layout.parts
    heading = start[2] + np.cumsum(numbers[:, part["turn"]][:, 0] / fps)
    velocity = numbers[:, part["velocity"]]
    step = np.stack([velocity[:, 0], np.zeros(len(numbers)), velocity[:, 1]], -1) / fps
    ahead = from_axis_angle(UP, heading)
    root = np.cumsum(rotate(ahead, step), 0) + (start[0], 0.0, start[1])
    root[:, 1] = numbers[:, part["height"]][:, 0]
    rotations = from_columns(numbers[:, part["rotations"]].reshape(len(numbers), layout.joints, 6))
    rotations[:, 0] = multiply(ahead, rotations[:, 0])
    motion = Motion(skeleton, fps, root, rotations)
    return motion, (float(root[-1, 0]), float(root[-1, 2]), float(heading[-1]))


def from_columns(columns: Floats) -> Floats:
    """Quaternions (..., 4) of two columns (..., 6), made perpendicular first (Zhou et al. 2019, eq. 16)."""
    first = unit(columns[..., :3])
    second = unit(columns[..., 3:] - np.sum(first * columns[..., 3:], -1, keepdims=True) * first)
    return from_matrix(np.stack([first, second, np.cross(first, second)], -1))
