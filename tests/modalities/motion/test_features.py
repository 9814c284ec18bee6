"""Features: an exact way there and back, for any skeleton, wherever it stands."""

from __future__ import annotations

import numpy as np
import pytest

from tests.motion import walk
from unreel.modalities.motion.body import BODY
from unreel.modalities.motion.features import Layout, decode, encode, from_columns, headings
from unreel.modalities.skeleton.motion import Motion
from unreel.modalities.skeleton.rotations import to_matrix, unit
from unreel.modalities.skeleton.skeleton import Skeleton


def wriggle(joints: int = 5, frames: int = 40) -> Motion:
    """A chain of joints without a name that says anything, turning any way; its rest pose is turned too."""
    rng = np.random.default_rng(2)
    skeleton = Skeleton(
        tuple(f"bone.{n}" for n in range(joints)),
        np.arange(joints) - 1,
        rng.normal(size=(joints, 3)),
        unit(rng.normal(size=(joints, 4))),
    )
    drift = np.cumsum(rng.normal(size=(frames, joints, 4)) * 0.05, 0)
    return Motion(skeleton, 30.0, np.cumsum(rng.normal(size=(frames, 3)), 0), unit(skeleton.rotations + drift))


@pytest.mark.parametrize("motion", [walk(), walk(turn=-3.0), wriggle(), walk().part(0, 1)])
def test_there_and_back(motion: Motion):
    numbers, start = encode(motion)
    assert numbers.dtype == np.float32
    assert numbers.shape == (motion.frames, Layout.of(motion.skeleton).width)
    back, end = decode(numbers, motion.skeleton, start)
    assert np.abs(back.root - motion.root).max() < 1e-4
    assert np.abs(to_matrix(back.rotations) - to_matrix(motion.rotations)).max() < 1e-5
    assert np.allclose(end[:2], motion.root[-1, [0, 2]], atol=1e-4)


def test_parts_decode_one_after_the_other():
    motion = walk()
    numbers, place = encode(motion)
    for first in range(0, motion.frames, 7):
        part, place = decode(numbers[first : first + 7], BODY, place)
        assert np.allclose(part.root, motion.root[first : first + 7], atol=1e-4)


def test_where_somebody_stands_and_looks_does_not_matter():
    motion = walk(turn=0.7)
    moved = motion.placed(2.0, np.asarray([3.0, 0.0, -5.0]))
    assert np.allclose(encode(motion)[0], encode(moved)[0], atol=2e-3)
    assert np.allclose(headings(moved) - headings(motion), 2.0, atol=1e-5)


def test_parts_are_what_they_are_called():
    motion, layout = walk(turn=0.5, speed=1.5), Layout.of(BODY)
    numbers, _ = encode(motion)
    part = layout.parts
    assert sum(s.stop - s.start for s in part.values()) == layout.width == 12 * 22 + 1 + 4
    assert np.allclose(numbers[:, part["turn"]], 0.5, atol=1e-3)
    assert np.allclose(np.linalg.norm(numbers[:, part["velocity"]], axis=1), 1.5, atol=1e-3)
    places = numbers[:, part["places"]].reshape(-1, 21, 3)
    assert np.allclose(places[..., 1], motion.positions()[:, 1:, 1], atol=1e-5)
    assert places[:, BODY.index("left_hand") - 1, 0].min() > 0.3


def test_feet_stand_when_they_do_not_move():
    still = Motion(BODY, 30.0, np.tile(BODY.translations[0], (5, 1)), np.tile(BODY.rotations, (5, 1, 1)))
    contacts = Layout.of(BODY).parts["contacts"]
    assert (encode(still)[0][:, contacts] == 1).all()
    assert 0 < encode(walk(speed=0.5))[0][:, contacts].mean() < 1
    assert Layout.of(wriggle().skeleton).feet == ()


def test_columns_need_not_be_perpendicular():
    found = from_columns(np.asarray([2.0, 0, 0, 1.0, 3.0, 0]))
    assert np.allclose(found, [0, 0, 0, 1])
    assert np.isfinite(from_columns(np.zeros(6))).all()
