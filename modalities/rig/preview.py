"""A film of a rig: once around it while its joints sway, weights as colours, bones over it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from unreel.modalities.media.frames import Frames
from unreel.modalities.skeleton.kinematics import forward
from unreel.modalities.skeleton.raster import orbit
from unreel.modalities.skeleton.render import Style, draw_bones, render, weight_colours
from unreel.modalities.skeleton.rig import Rig
from unreel.modalities.skeleton.rotations import Floats, from_axis_angle, multiply
from unreel.modalities.skeleton.skeleton import Skeleton

SECONDS = 4.0  # of one turn
SWAY = 14.0  # degrees, to either side
MARGIN = 0.15  # room for what sways, in sizes of the mesh


def turntable(rig: Rig, fps: float, size: int = 384) -> Iterator[Frames]:
    """The pictures (size, size, 3), ``SECONDS`` of them."""
    frames = max(1, round(SECONDS * fps))
    bounds = rig.mesh.bounds
    room = MARGIN * float(np.ptp(bounds, axis=0).max())
    wide = bounds + np.asarray([[-room], [room]])
    colours, style = weight_colours(rig), Style(size, size, ground=float(bounds[0, 1]))
    for number in range(frames):
        world = swayed(rig.skeleton, number / frames)
        camera = orbit(wide, yaw=30.0 + 360.0 * number / frames)
        picture = render(rig.posed(world), camera, style, colours)
        yield draw_bones(picture, camera, rig.skeleton, world[:, :3, 3])


def swayed(skeleton: Skeleton, part: float) -> Floats:
    """World matrices (J, 4, 4) at ``part`` (0 to 1) of a sway of all joints but the root, deeper ones later."""
    angles = np.radians(SWAY) * np.sin(2 * np.pi * (2 * part - 0.1 * skeleton.depths))
    angles[0] = 0.0
    turns = from_axis_angle(np.asarray([1.0, 0.0, 0.0]), angles)
    world: Floats = forward(skeleton.parents, skeleton.translations, multiply(turns, skeleton.rotations))
    return world
