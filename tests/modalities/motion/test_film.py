"""Poses of a stream on the rig that shows them."""

from __future__ import annotations

import numpy as np

from tests.motion import walk
from unreel.modalities.motion.body import BODY, shaped
from unreel.modalities.motion.figure import figure
from unreel.modalities.motion.film import Stage
from unreel.modalities.motion.poses import Poses
from unreel.modalities.skeleton.retarget import retarget
from unreel.modalities.skeleton.skeleton import Skeleton

LONG = np.where([name.endswith(("shin", "foot")) for name in BODY.names], 1.5, 1.0)


def chunk(skeleton: Skeleton, start: int) -> Poses:
    part = walk(1.0).part(start, start + 4)
    return Poses(skeleton, part.fps, part.root, part.rotations, np.zeros((4, 4)))


def test_a_stage_goes_by_the_body_that_poses_are_of() -> None:
    """Matched once, and again when somebody else is sent; each chunk is where it would be by itself."""
    rig, other = figure(BODY.scaled(2.0)), shaped(LONG)
    stage, carriers = Stage(rig), []
    for number, skeleton in enumerate((BODY, BODY, other, other, BODY)):
        poses = chunk(skeleton, 4 * number)
        made = stage.motion(poses)
        assert np.array_equal(made.positions(), retarget(poses.motion, rig.skeleton).positions())
        carriers.append(stage.carrier)
    assert carriers[0] is carriers[1]
    assert carriers[2] is carriers[3]
    assert len({id(carrier) for carrier in carriers}) == 3
    assert carriers[2].scale < carriers[0].scale  # longer legs make larger steps already


def test_a_rig_of_the_same_skeleton_needs_no_carrying() -> None:
    stage = Stage(figure(BODY))
    assert np.array_equal(stage.motion(chunk(BODY, 0)).rotations, chunk(BODY, 0).motion.rotations)
    assert stage.carrier is None
