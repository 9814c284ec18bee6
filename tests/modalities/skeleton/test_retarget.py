"""Names that mean the same, and motions carried to other skeletons."""

import numpy as np
import pytest

from unreel.engine.errors import UserError
from unreel.modalities.skeleton.motion import Motion
from unreel.modalities.skeleton.names import partner, partners, role, roles
from unreel.modalities.skeleton.retarget import Retargeter, match, retarget
from unreel.modalities.skeleton.rotations import from_axis_angle, multiply, to_matrix, unit
from unreel.modalities.skeleton.skeleton import Skeleton

MIXAMO = (
    "Hips Spine Spine1 Spine2 Neck Head LeftUpLeg LeftLeg LeftFoot RightUpLeg RightLeg RightFoot LeftArm LeftForeArm"
)
CMU = "root lowerback upperback thorax lowerneck head lfemur ltibia lfoot rfemur rtibia rfoot lhumerus lradius"
PARENTS = np.asarray([-1, 0, 1, 2, 3, 4, 0, 6, 7, 0, 9, 10, 3, 12])
PLACES = np.asarray(
    [[0, 1, 0], [0, 1.1, 0], [0, 1.2, 0], [0, 1.4, 0], [0, 1.5, 0], [0, 1.6, 0]]
    + [[0.1, 0.9, 0], [0.1, 0.5, 0], [0.1, 0.1, 0], [-0.1, 0.9, 0], [-0.1, 0.5, 0], [-0.1, 0.1, 0]]
    + [[0.2, 1.4, 0], [0.5, 1.4, 0]]
)
RNG = np.random.default_rng(2)


def person(names: str, prefix: str = "", turned: bool = False, places: np.ndarray = PLACES) -> Skeleton:
    world = np.tile(np.eye(4), (len(places), 1, 1))
    world[:, :3, 3] = places
    if turned:
        world[:, :3, :3] = to_matrix(unit(RNG.normal(size=(len(places), 4))))
    return Skeleton.from_globals([prefix + name for name in names.split()], PARENTS, world)


def dance(skeleton: Skeleton) -> Motion:
    swing = from_axis_angle(
        unit(RNG.normal(size=(14, 3))), 0.8 * np.sin(np.linspace(0, 6, 20)[:, None] + np.arange(14))
    )
    root = np.stack([np.zeros(20), np.ones(20), np.linspace(0, 2, 20)], 1)
    return Motion(skeleton, 30, root, multiply(np.broadcast_to(skeleton.rotations, swing.shape), swing), "dance")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mixamorig:LeftUpLeg", "left thigh"),
        ("mixamorig:RightLeg", "right shin"),
        ("mixamorig:LeftToeBase", "left toes"),
        ("mixamorig:LeftHandIndex2", "left index 2"),
        ("mixamorig:HeadTop_End", None),
        ("lfemur", "left thigh"),
        ("rradius", "right forearm"),
        ("lhipjoint", None),
        ("lowerback", "spine"),
        ("UpperLeg.L", "left thigh"),
        ("Shoulder.R", "right clavicle"),
        ("PoleTarget.L", None),
        ("upperarm.l", "left arm"),
        ("handslot.r", None),
        ("control-toe-roll.l", None),
        ("thigh_l", "left thigh"),
        ("clavicle_r", "right clavicle"),
        ("ball_l", "left toes"),
        ("index_03_r", "right index 3"),
        ("index_04_leaf_r", None),
        ("DEF-upper_arm.R", "right arm"),
        ("DEF-f_index01.L", "left index 1"),
        ("DEF-spine.001", "spine"),
        ("Head", "head"),
        ("FootL", "left foot"),
        ("hand", None),
        ("IKBackLeg.L", None),
    ],
)
def test_roles(name: str, expected: str | None) -> None:
    assert role(name) == expected


def test_the_commonest_spelling_has_the_role() -> None:
    skeleton = Skeleton.from_positions(["root", "hips", "chest"], np.asarray([-1, 0, 1]), np.zeros((3, 3)))
    assert roles(skeleton) == {"hips": 1, "chest": 2}


def test_partners() -> None:
    names = {"Foot.L", "Foot.R", "lfemur", "rfemur", "LeftArm", "RightArm", "leaf_l", "leaf_r", "Tail", "lower_r"}
    assert partner("Foot.L", names) == "Foot.R"
    assert partner("rfemur", names) == "lfemur"
    assert partner("LeftArm", names) == "RightArm"
    assert partner("leaf_l", names) == "leaf_r"
    assert partner("Tail", names) is None
    skeleton = person(MIXAMO)
    pairs = partners(skeleton)
    assert skeleton.names[pairs[skeleton.index("LeftLeg")]] == "RightLeg"
    assert (pairs[:6] == np.arange(6)).all()


def test_the_same_skeleton_gets_the_same_motion() -> None:
    skeleton = person(MIXAMO, turned=True)
    motion = dance(skeleton)
    result = retarget(motion, skeleton)
    assert np.allclose(result.positions(), motion.positions(), atol=1e-5)
    assert np.allclose(result.globals(), motion.globals(), atol=1e-5)
    how = Retargeter.of(skeleton, skeleton)
    assert (how.still, how.unused, how.scale) == ((), (), 1.0)


def test_other_names_and_rest_rotations_change_nothing() -> None:
    motion = dance(person(CMU))
    how = Retargeter.of(motion.skeleton, person(MIXAMO, "mixamorig:", turned=True))
    result = how.apply(motion)
    assert how.pairs["mixamorig:LeftUpLeg"] == "lfemur"
    assert how.pairs["mixamorig:Hips"] == "root"
    matched = [result.skeleton.names.index(name) for name in how.pairs]
    theirs = [motion.skeleton.names.index(name) for name in how.pairs.values()]
    legs = [k for k, joint in enumerate(matched) if 6 <= joint <= 11]
    mine, other = result.positions()[:, matched], motion.positions()[:, theirs]
    assert np.allclose(mine[:, legs], other[:, legs], atol=1e-4)


def test_another_rest_pose_points_where_the_source_does() -> None:
    """An arm that rests hanging down, driven by one that rests stretched out."""
    places = PLACES.copy()
    places[13] = [0.2, 1.1, 0]
    motion = dance(person(CMU))
    result = retarget(motion, person(MIXAMO, places=places))
    assert np.allclose(way(result, "LeftArm", "LeftForeArm"), way(motion, "lhumerus", "lradius"), atol=1e-4)


def way(motion: Motion, start: str, stop: str) -> np.ndarray:
    """The direction (T, 3) from one joint to another."""
    a, b = (motion.positions()[:, motion.skeleton.index(name)] for name in (start, stop))
    return np.asarray((b - a) / np.linalg.norm(b - a, axis=1, keepdims=True))


def test_feet_keep_to_the_ground_though_legs_rest_bent() -> None:
    places = PLACES.copy()
    places[[7, 10], 2] += 0.3
    motion = dance(person(CMU))
    result = retarget(motion, person(MIXAMO, places=places))
    for mine, other in (("LeftFoot", "lfoot"), ("Head", "head")):
        turns = result.turns()[:, result.skeleton.index(mine)]
        theirs = motion.turns()[:, motion.skeleton.index(other)]
        assert np.allclose(to_matrix(turns), to_matrix(theirs), atol=1e-5)


def test_steps_are_scaled_to_the_legs_on_the_ground() -> None:
    motion = dance(person(CMU))
    how = Retargeter.of(motion.skeleton, person(MIXAMO, places=PLACES * 2))
    result = how.apply(motion)
    assert how.scale == pytest.approx(2, abs=1e-5)
    mine, theirs = result.positions(), motion.positions()
    assert np.allclose(mine[:, 8], 2 * theirs[:, 8], atol=1e-4)


def test_a_skeleton_that_faces_elsewhere() -> None:
    turned = PLACES @ np.asarray([[0, 0, -1], [0, 1, 0], [1, 0, 0]])  # +x to -z
    motion = dance(person(CMU))
    result = retarget(motion, person(MIXAMO, places=turned))
    expected = motion.positions()[:, 8] @ np.asarray([[0, 0, -1], [0, 1, 0], [1, 0, 0]])
    assert np.allclose(result.positions()[:, 8], expected, atol=1e-4)


def test_what_is_not_mapped_is_told() -> None:
    places = np.concatenate([PLACES, [[0, 1.0, -0.3]]])
    world = np.tile(np.eye(4), (15, 1, 1))
    world[:, :3, 3] = places
    tail = Skeleton.from_globals([*MIXAMO.split(), "Tail"], np.append(PARENTS, 0), world)
    how = Retargeter.of(person(CMU), tail)
    assert "Tail" in how.still
    assert "thorax" in how.unused
    assert match(person(CMU), tail, {"Tail": "head"})[14] == 5
    with pytest.raises(UserError, match="no joint is called 'wing'"):
        retarget(dance(person(CMU)), tail, {"Tail": "wing"})
    odd = Skeleton.from_positions(["x", "y"], np.asarray([-1, 0]), np.asarray([[0, 0, 0], [0, 1, 0]]))
    with pytest.raises(UserError, match="belong together"):
        retarget(dance(person(CMU)), odd)


def test_what_stays_in_the_motion_is_carried_part_by_part() -> None:
    """A tail on the chest, a root above the hips that is in no pair, and parts of any length: all as in one piece."""
    names = ["Armature", *MIXAMO.split(), "Tail"]
    world = np.tile(np.eye(4), (16, 1, 1))
    world[1:, :3, 3] = np.concatenate([PLACES, [[0, 1.3, -0.3]]])
    world[:, :3, :3] = to_matrix(unit(RNG.normal(size=(16, 4))))
    target = Skeleton.from_globals(names, np.asarray([-1, *(PARENTS + 1), 4]), world)
    motion = dance(person(CMU))
    how = Retargeter.of(motion.skeleton, target)
    whole = how.apply(motion)
    parts = [how.apply(motion.part(start, start + 4)) for start in range(0, 20, 4)]
    assert np.allclose(np.concatenate([part.globals() for part in parts]), whole.globals(), atol=1e-5)
    assert np.allclose(np.abs(np.sum(whole.rotations[:, [0, 15]] * target.rotations[[0, 15]], -1)), 1, atol=1e-6)
    assert np.allclose(whole.positions()[:, 9], motion.positions()[:, 8], atol=1e-4), "feet step where they stepped"
