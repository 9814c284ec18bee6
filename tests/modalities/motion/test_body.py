"""The body all motions are learned on, and whose proportions it takes."""

from __future__ import annotations

import numpy as np
import pytest

from tests.motion import walk
from unreel.engine.errors import UserError
from unreel.modalities.motion.body import BODY, on_body, proportions, shaped
from unreel.modalities.skeleton.retarget import retarget
from unreel.modalities.skeleton.skeleton import Skeleton


def grown(**factors: float) -> Skeleton:
    ratio = np.ones(len(BODY))
    for name, factor in factors.items():
        ratio[BODY.index(name)] = factor
    return shaped(ratio)


def test_the_body_stands_on_the_ground_and_faces_forward():
    assert 0 <= BODY.positions[:, 1].min() < 0.05
    assert BODY.positions[BODY.index("left_hand"), 0] > 0.5
    assert BODY.positions[BODY.index("left_toes"), 2] > 0.1


def test_proportions_come_back():
    ratio = np.ones(len(BODY))
    for part, factor in (("neck", 1.4), ("left_arm", 0.8), ("right_arm", 0.8)):
        ratio[BODY.index(part)] = factor
    assert np.allclose(proportions(shaped(ratio)), ratio, atol=1e-5)
    assert np.allclose(proportions(BODY.scaled(3.0)), 1, atol=1e-5)
    assert np.isclose(shaped(ratio).positions[:, 1].min(), BODY.positions[:, 1].min())


def test_left_and_right_are_made_alike():
    ratio = proportions(grown(left_hand=2.0))
    assert np.isclose(ratio[BODY.index("left_hand")], 1.5)
    assert np.isclose(ratio[BODY.index("right_hand")], 1.5)


def test_joints_that_are_missing_share_the_length_of_the_next():
    names = [name for name in BODY.names if name not in ("spine2", "left_clavicle", "right_clavicle")]
    lesser, _ = grown(chest=2.0).take([BODY.index(name) for name in names])
    ratio = proportions(lesser)
    assert np.isclose(ratio[BODY.index("spine2")], ratio[BODY.index("chest")])
    assert ratio[BODY.index("chest")] > 1.4


def test_a_fish_is_no_body():
    fish = Skeleton.from_positions(["root", "tail", "fin"], np.asarray([-1, 0, 1]), np.eye(3))
    with pytest.raises(UserError, match="is no body"):
        proportions(fish)
    with pytest.raises(UserError, match="legs have no length"):
        proportions(BODY.scaled(0.0))


def test_a_motion_comes_onto_the_body_and_its_ground():
    tall = retarget(walk(1.0), grown(neck=1.5).scaled(2.0))
    made = on_body(tall)
    assert made.skeleton.names == BODY.names
    assert abs(np.quantile(made.positions()[..., 1].min(1), 0.05) - BODY.positions[:, 1].min()) < 1e-4
    assert np.allclose(made.rotations, walk(1.0).rotations, atol=1e-4)
