"""Names for bodies, told from geometry; none for other beings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.rigs import rigged_creature
from unreel.modalities.motion.body import BODY
from unreel.modalities.rig.naming import body_names, named
from unreel.modalities.skeleton.names import roles
from unreel.modalities.skeleton.skeleton import Skeleton


def nameless(skeleton: Skeleton) -> Skeleton:
    return replace(skeleton, names=tuple(f"joint_{number:02d}" for number in range(len(skeleton))))


@pytest.mark.parametrize("degrees", [0, 90, 180, 300])
@pytest.mark.parametrize("size", [1.0, 1000.0])
def test_a_body_facing_anywhere_gets_its_names_back(degrees: int, size: float) -> None:
    angle = np.radians(degrees)
    turn = np.asarray([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    turned = Skeleton.from_positions(BODY.names, BODY.parents, size * BODY.positions @ turn.T)
    shuffled, _ = turned.breadth_first()
    assert named(nameless(shuffled)).names == shuffled.names


def test_a_body_without_toes_and_collar_bones_faces_forward() -> None:
    kept = [joint for joint, name in enumerate(BODY.names) if "toes" not in name and "clavicle" not in name]
    bare, _ = BODY.take(kept)
    assert named(nameless(bare)).names == bare.names


def test_fingers_keep_numbers_and_tell_where_the_hand_is() -> None:
    spots, parents, names = list(BODY.positions), list(BODY.parents), list(BODY.names)
    for side, sign in (("left", 1), ("right", -1)):
        hand = BODY.index(f"{side}_hand")
        for finger in range(3):
            spots.append(spots[hand] + np.asarray([sign * 0.08, 0.02 * (finger - 1), 0.0]))
            parents.append(hand)
            names.append(f"joint_{len(names):02d}")
    handed = Skeleton.from_positions(names, np.asarray(parents), np.stack(spots))
    found = named(nameless(handed))
    assert found.names[: len(BODY)] == BODY.names
    assert set(roles(BODY)) == set(roles(found))


def test_a_root_on_the_floor_is_not_the_hips() -> None:
    spots = np.concatenate([np.zeros((1, 3)), BODY.positions])
    parents = np.concatenate([[-1], BODY.parents + 1])
    legs = [1 + BODY.index(f"{side}_thigh") for side in ("left", "right")]
    parents[legs] = 0
    rooted = Skeleton.from_positions(["root", *BODY.names], parents, spots)
    assert named(nameless(rooted)).names[1:] == BODY.names


def test_four_legs_are_no_body() -> None:
    skeleton = nameless(rigged_creature().skeleton)
    assert body_names(skeleton) == {}
    assert named(skeleton).names == skeleton.names
    lone = Skeleton.from_positions(["joint_00"], np.asarray([-1]), np.zeros((1, 3)))
    assert body_names(lone) == {}
