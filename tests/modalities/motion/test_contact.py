"""Contact clean-up: standing feet stand, nothing jumps, bones keep their length."""

from __future__ import annotations

import numpy as np
import pytest

from tests.motion import walk
from unreel.modalities.motion.body import BODY
from unreel.modalities.motion.contact import Foot, FootLock, bent
from unreel.modalities.motion.features import Layout
from unreel.modalities.motion.poses import Poses, whole
from unreel.modalities.skeleton.motion import Motion
from unreel.modalities.skeleton.rotations import from_axis_angle, rotate

FOOT = BODY.index("left_foot")


def sliding(frames: int = 24, stands: slice = slice(6, 16), slide: float = 0.005) -> Poses:
    """Bent knees, and everybody slides forward all the time; the left foot should stand for a while."""
    motion = walk(1.0, turn=0.0, speed=0.0).part(0, 1)
    for joint, angle in ((FOOT - 2, -0.5), (FOOT - 1, 1.0), (FOOT, -0.5)):
        motion.rotations[0, joint] = from_axis_angle(np.asarray([1.0, 0, 0]), angle)
    root = motion.root.repeat(frames, 0) + np.arange(frames)[:, None] * np.asarray([0, 0, slide])
    contacts = np.zeros((frames, len(Layout.of(BODY).feet)), np.float32)
    contacts[stands, :2] = 1
    return Poses(BODY, 30.0, root.astype(np.float32), motion.rotations.repeat(frames, 0), contacts)


def part(poses: Poses, start: int, stop: int) -> Poses:
    return Poses(BODY, 30.0, poses.root[start:stop], poses.rotations[start:stop], poses.contacts[start:stop])


def test_a_leg_reaches_its_target():
    rng = np.random.default_rng(0)
    leg = np.asarray([[0, 1.0, 0], [0, 0.5, 0.1], [0, 0.1, 0]]) + 0.02 * rng.normal(size=(50, 3, 3))
    target = leg[:, 2] + 0.1 * rng.normal(size=(50, 3)) * (1, 0.3, 1) + (0, 0.05, 0)
    thigh, shin = bent(leg, target)
    knee = leg[:, 0] + rotate(thigh, leg[:, 1] - leg[:, 0])
    ankle = knee + rotate(shin, leg[:, 2] - leg[:, 1])
    reach = np.linalg.norm(target - leg[:, 0], axis=1)
    longest = np.linalg.norm(leg[:, 1] - leg[:, 0], axis=1) + np.linalg.norm(leg[:, 2] - leg[:, 1], axis=1)
    there = reach < 0.99 * longest
    assert there.sum() > 20
    assert np.abs(ankle - target)[there].max() < 1e-6
    far, _ = bent(leg, leg[:, 0] + (0, -9.0, 0))
    assert np.isfinite(far).all()


def test_a_straight_leg_can_bend():
    leg = np.asarray([[[0, 1.0, 0], [0, 0.5, 0], [0, 0.0, 0]]])
    thigh, shin = bent(leg, np.asarray([[0, 0.2, 0]]))
    knee = leg[:, 0] + rotate(thigh, leg[:, 1] - leg[:, 0])
    assert knee[0, 2] > 0.1  # forward
    assert np.allclose(knee + rotate(shin, leg[:, 2] - leg[:, 1]), [[0, 0.2, 0]], atol=1e-6)


def test_a_standing_foot_stands_and_nothing_jumps():
    poses = sliding()
    made = FootLock().clean(poses)
    feet = made.motion.positions()[:, FOOT]
    assert np.abs(feet[11:16] - feet[11]).max() < 1e-3
    assert np.abs(feet[6:16] - feet[6]).max() < 0.006  # a frame's slide, as it comes to a stand
    steps = np.linalg.norm(np.diff(feet, axis=0), axis=1)
    assert steps.max() < 0.03
    assert np.allclose(feet[-1], poses.motion.positions()[-1, FOOT], atol=0.02)
    right = BODY.index("right_foot")
    assert np.allclose(made.motion.positions()[:, right], poses.motion.positions()[:, right], atol=1e-5)
    before, after = (one.motion.turns()[:, FOOT] for one in (poses, made))
    assert np.abs(np.abs((before * after).sum(-1)) - 1).max() < 1e-5  # the foot itself does not turn


@pytest.mark.parametrize("size", [1, 4])
def test_chunks_are_cleaned_as_the_whole_is(size: int):
    poses, lock = sliding(), FootLock()
    parts = [lock.clean(part(poses, at, at + size)) for at in range(0, len(poses), size)]
    assert np.allclose(whole(parts).positions(), FootLock().clean(poses).motion.positions(), atol=1e-5)


def test_a_foot_that_is_too_far_comes_down_anew():
    foot, far = Foot(), np.asarray([[0.3, 0, 0], [0.4, 0, 0]])
    near = far * 0.1
    assert np.allclose(foot.step(near * 0, 0), 0)
    assert foot.step(near, 0)[0] < 0
    anew = foot.step(far, 0)[0]
    assert -0.03 < anew < 0
    moved = [np.linalg.norm(foot.step(far, None)) for _ in range(20)]
    assert moved[-1] < 0.001


def test_when_the_heel_leaves_the_toes_stand():
    foot = Foot()
    heel = [np.asarray([[0.0, 0.1 + 0.02 * n, 0.0], [0.0, 0.0, 0.1 + 0.002 * n]]) for n in range(8)]
    toes = np.stack([places[1] + foot.step(places, 1) for places in heel])
    assert np.abs(toes - toes[-1])[4:].max() < 1e-3
    ankle = np.stack([places[0] + foot.moved for places in heel])
    assert ankle[-1, 1] > 0.2


def test_what_has_no_legs_stays_as_it_is():
    motion = walk(0.2)
    names = [name for name in BODY.names if "thigh" not in name]
    trunk, order = BODY.take([BODY.index(n) for n in names])
    bust = Motion(trunk, 30.0, motion.root, motion.rotations[:, order])
    poses = Poses(trunk, 30.0, bust.root, bust.rotations, np.ones((bust.frames, 4), np.float32))
    assert np.allclose(FootLock().clean(poses).rotations, bust.rotations, atol=1e-5)
