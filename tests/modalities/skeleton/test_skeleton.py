"""Order, rest pose and forward kinematics of joint trees."""

import numpy as np
import pytest

from unreel.engine.errors import UserError
from unreel.modalities.skeleton.rotations import unit
from unreel.modalities.skeleton.skeleton import Skeleton, ordered, unique_names

RNG = np.random.default_rng(5)


def tree() -> Skeleton:
    """pelvis - (left - toe, spine - head), depth first."""
    names = ("pelvis", "left", "toe", "spine", "head")
    turns = unit(RNG.normal(size=(5, 4)))
    return Skeleton(names, np.asarray([-1, 0, 1, 0, 3]), RNG.normal(size=(5, 3)), turns)


def test_globals_make_the_same_skeleton() -> None:
    skeleton = tree()
    scaled = skeleton.globals.astype(np.float64) * np.asarray([3, 3, 3, 1.0])
    again = Skeleton.from_globals(skeleton.names, skeleton.parents, scaled)
    assert np.allclose(again.globals, skeleton.globals, atol=1e-5)


def test_breadth_first_keeps_the_world() -> None:
    skeleton = tree()
    flat, order = skeleton.breadth_first()
    assert flat.names == ("pelvis", "left", "spine", "toe", "head")
    assert flat.depths.tolist() == [0, 1, 1, 2, 2]
    assert np.allclose(flat.globals, skeleton.globals[order], atol=1e-5)


def test_taking_joints_hangs_children_on_what_is_kept() -> None:
    skeleton = tree()
    fewer, order = skeleton.take([0, 2, 4])
    assert fewer.names == ("pelvis", "toe", "head")
    assert fewer.parents.tolist() == [-1, 0, 0]
    assert np.allclose(fewer.positions, skeleton.positions[order], atol=1e-5)
    with pytest.raises(UserError, match="2 joints have 2"):
        skeleton.take([2, 4])


def test_rerooting_turns_the_way_to_the_root_around() -> None:
    skeleton = tree()
    turned, order = skeleton.rerooted(skeleton.index("head"))
    parents = {name: turned.names[p] if p >= 0 else None for name, p in zip(turned.names, turned.parents, strict=True)}
    assert parents == {"head": None, "spine": "head", "pelvis": "spine", "left": "pelvis", "toe": "left"}
    assert np.allclose(turned.globals, skeleton.globals[order], atol=1e-5)


def test_subtree_scale_and_move() -> None:
    skeleton = tree()
    assert skeleton.subtree(3).tolist() == [3, 4]
    assert np.allclose(skeleton.scaled(2).positions, 2 * skeleton.positions, atol=1e-5)
    assert np.allclose(skeleton.moved(np.ones(3)).positions, skeleton.positions + 1, atol=1e-5)


def test_ordered_says_what_is_wrong() -> None:
    assert ordered({5: 2, 2: -1, 3: 5}) == [2, 5, 3]
    with pytest.raises(UserError, match="have 2"):
        ordered({1: -1, 2: -1})
    with pytest.raises(UserError, match="circle"):
        ordered({0: -1, 1: 2, 2: 1})


def test_unique_names() -> None:
    assert unique_names(["hip", "hip", None, "", "hip"]) == ["hip", "hip.1", "joint", "joint.1", "hip.2"]


@pytest.mark.parametrize(
    ("names", "parents", "error"),
    [
        (("a", "b"), [0, -1], "first -1"),
        (("a", "b", "c"), [-1, 2, 0], "parents come before"),
        (("a", "b"), [-1, -1], "one root"),
        (("a", "a"), [-1, 0], "different names"),
        ((), [], "0 joints"),
    ],
)
def test_bad_trees_are_refused(names: tuple[str, ...], parents: list[int], error: str) -> None:
    count = len(names)
    with pytest.raises(UserError, match=error):
        Skeleton(names, np.asarray(parents), np.zeros((count, 3)), np.tile([0, 0, 0, 1.0], (count, 1)))


def test_bad_numbers_are_refused() -> None:
    with pytest.raises(UserError, match="finite"):
        Skeleton(("a",), np.asarray([-1]), np.full((1, 3), np.nan), np.asarray([[0, 0, 0, 1.0]]))
    with pytest.raises(UserError, match="translations"):
        Skeleton(("a",), np.asarray([-1]), np.zeros((2, 3)), np.asarray([[0, 0, 0, 1.0]]))
    with pytest.raises(UserError, match="no joint is called 'hip'; there are a"):
        Skeleton(("a",), np.asarray([-1]), np.zeros((1, 3)), np.asarray([[0, 0, 0, 1.0]])).index("hip")
