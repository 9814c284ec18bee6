"""Motions: rates, slices, joins, mirrors, files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from unreel.engine.errors import UserError
from unreel.modalities.skeleton.bvh import guess_scale, read_bvh, write_bvh
from unreel.modalities.skeleton.clips import Clip
from unreel.modalities.skeleton.glb import glb_bytes
from unreel.modalities.skeleton.gltf import read_rig
from unreel.modalities.skeleton.motion import Motion, from_clip, joined
from unreel.modalities.skeleton.rig import Rig
from unreel.modalities.skeleton.rotations import from_axis_angle, multiply, rotate, to_matrix, unit
from unreel.modalities.skeleton.skeleton import Skeleton

RNG = np.random.default_rng(11)
NAMES = ("hips", "spine", "head", "thigh_l", "shin_l", "shin_l_end", "thigh_r", "shin_r", "shin_r_end")
PARENTS = np.asarray([-1, 0, 1, 0, 3, 4, 0, 6, 7])
PLACES = np.asarray(
    [[0, 1, 0], [0, 1.3, 0], [0, 1.6, 0], [0.1, 0.9, 0], [0.1, 0.5, 0], [0.1, 0.05, 0], [-0.1, 0.9, 0], [-0.1, 0.5, 0]]
    + [[-0.1, 0.05, 0]]
)


def body(turned: bool = True) -> Skeleton:
    """Nine joints of a person; ``turned``: with rest rotations that mean nothing, as rigs have them."""
    flat = Skeleton.from_positions(NAMES, PARENTS, PLACES)
    if not turned:
        return flat
    world = flat.globals.copy()
    world[:, :3, :3] = to_matrix(unit(RNG.normal(size=(9, 4))))
    return Skeleton.from_globals(NAMES, PARENTS, world)


def walk(skeleton: Skeleton, frames: int = 13, fps: float = 30.0) -> Motion:
    """A smooth made-up motion that goes along +z; tips do not turn."""
    phase = np.linspace(0, 2 * np.pi, frames)[:, None]
    swing = from_axis_angle(unit(RNG.normal(size=(len(skeleton), 3))), 0.5 * np.sin(phase + np.arange(len(skeleton))))
    rotations = multiply(np.broadcast_to(skeleton.rotations, swing.shape), swing)
    for joint, name in enumerate(skeleton.names):
        if name.endswith("_end"):
            rotations[:, joint] = skeleton.rotations[joint]
    root = np.stack([0.1 * np.sin(phase[:, 0]), np.ones(frames), np.linspace(0, 1, frames)], 1)
    return Motion(skeleton, fps, root, rotations, "walk")


def test_positions_and_clips_agree() -> None:
    motion = walk(body())
    assert motion.positions().shape == (13, 9, 3)
    assert np.allclose(motion.clip().globals(motion.skeleton), motion.globals(), atol=1e-6)
    assert np.allclose(motion.positions()[:, 0], motion.root)
    assert motion.seconds == pytest.approx(0.4)
    back = from_clip(motion.skeleton, motion.clip())
    assert back.notes == ()
    assert np.allclose(back.positions(), motion.positions(), atol=1e-6)


def test_a_clip_that_stretches_bones_is_noted() -> None:
    motion = walk(body())
    moved = motion.translations()
    moved[5, 2, 0] += 0.5
    assert "up to 0.5 m off (head)" in from_clip(motion.skeleton, Clip("x", 30, moved, motion.rotations)).notes[0]


def test_resampling() -> None:
    motion = walk(body())
    fast = motion.resampled(60)
    assert fast.frames == 25
    assert np.allclose(fast.positions()[::2], motion.positions(), atol=1e-5)
    assert np.allclose(fast.root[1], (motion.root[0] + motion.root[1]) / 2)
    assert np.allclose(fast.resampled(30).positions(), motion.positions(), atol=1e-5)
    assert motion.part(0, 1).resampled(10).frames == 1
    with pytest.raises(UserError, match="fps"):
        motion.resampled(0)


def test_parts() -> None:
    motion = walk(body())
    assert np.array_equal(motion.part(2, 5).root, motion.root[2:5])
    with pytest.raises(UserError, match="1 frame|T above 0"):
        motion.part(5, 5)


def test_joining_goes_on_where_the_last_ended() -> None:
    first = walk(body())
    second = first.placed(1.1, np.asarray([5.0, 0, -3]))
    whole = joined([first, second])
    assert whole.frames == 25
    assert np.allclose(whole.root[13] - whole.root[12], first.root[1] - first.root[0], atol=0.05)
    step = np.linalg.norm(np.diff(whole.root, axis=0), axis=1)
    assert step.max() < 1.5 * np.linalg.norm(np.diff(first.root, axis=0), axis=1).max()
    assert joined([first, second], follow=False).frames == 26
    with pytest.raises(UserError, match="same joints"):
        joined([first, first.resampled(60)])
    with pytest.raises(UserError, match="at least one"):
        joined([])


def test_placing() -> None:
    motion = walk(body())
    turn = from_axis_angle(np.asarray([0, 1.0, 0]), 0.7)
    expected = rotate(turn, motion.positions()) + np.asarray([1.0, 2, 3])
    assert np.allclose(motion.placed(0.7, np.asarray([1.0, 2, 3])).positions(), expected, atol=1e-5)


@pytest.mark.parametrize("turned", [False, True])
def test_mirroring(turned: bool) -> None:
    motion = walk(body(turned))
    mirrored = motion.mirrored()
    swap = [0, 1, 2, 6, 7, 8, 3, 4, 5]
    assert np.allclose(mirrored.positions(), motion.positions()[:, swap] * np.asarray([-1, 1, 1]), atol=1e-5)
    assert np.allclose(mirrored.mirrored().positions(), motion.positions(), atol=1e-5)
    lone = Skeleton.from_positions(["a", "b"], np.asarray([-1, 0]), np.zeros((2, 3)))
    with pytest.raises(UserError, match="left and right"):
        Motion(lone, 30, np.zeros((1, 3)), np.tile([0, 0, 0, 1.0], (1, 2, 1))).mirrored()


def test_npz_round_trip(tmp_path: Path) -> None:
    motion = walk(body())
    motion.save(tmp_path / "walk.npz")
    again = Motion.load(tmp_path / "walk.npz")
    assert again.skeleton.names == motion.skeleton.names
    assert (again.name, again.fps) == ("walk", 30)
    assert np.array_equal(again.root, motion.root)
    assert np.allclose(again.positions(), motion.positions(), atol=1e-6)
    (tmp_path / "bad.npz").write_bytes(b"PK nothing")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    np.savez(tmp_path / "pickle.npz", names=np.asarray([{}], object))
    for name in ("bad.npz", "other.npz", "pickle.npz"):
        with pytest.raises(UserError, match="is no motion"):
            Motion.load(tmp_path / name)
    with pytest.raises(UserError, match="there is no file"):
        Motion.load(tmp_path / "none.npz")
    with pytest.raises(UserError, match="cannot write"):
        motion.save(tmp_path / "no" / "walk.npz")


@pytest.mark.parametrize("order", ["ZXY", "XYZ", "YZX"])
@pytest.mark.parametrize("turned", [False, True])
def test_bvh_round_trip(tmp_path: Path, order: str, turned: bool) -> None:
    motion = walk(body(turned))
    write_bvh(motion, tmp_path / "walk.bvh", order=order)
    again = read_bvh(tmp_path / "walk.bvh")
    assert again.skeleton.names[:3] == ("hips", "spine", "head")
    assert "centimetres" in again.notes[0]
    assert again.fps == 30
    place = [again.skeleton.names.index(name) for name in NAMES]
    assert np.allclose(again.positions()[:, place], motion.positions(), atol=1e-4)
    exact = read_bvh(tmp_path / "walk.bvh", scale=0.02)
    assert np.allclose(exact.root, 2 * again.root)


BVH = """HIERARCHY
ROOT Hips
{ OFFSET 0 90 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation Xrotation
  JOINT Chest
  { OFFSET 0 50 0
    CHANNELS 3 Xrotation Zrotation Yrotation
    End Site
    { OFFSET 0 20 0 }
  }
}
MOTION
Frames: 2
Frame Time: 0.025
0 90 0  0 0 0  90 0 0
1 91 2  0 0 90  0 90 0
"""


def test_bvh_by_hand(tmp_path: Path) -> None:
    """Hips turned around x by the last angle; the chest around x in frame 0 and around z in frame 1."""
    (tmp_path / "a.bvh").write_text(BVH)
    motion = read_bvh(tmp_path / "a.bvh", scale=0.01)
    assert motion.fps == 40
    assert motion.skeleton.names == ("Hips", "Chest", "Chest_end")
    positions = motion.positions()
    assert np.allclose(positions[0], [[0, 0.9, 0], [0, 1.4, 0], [0, 1.4, 0.2]], atol=1e-6)
    assert np.allclose(positions[1], [[0.01, 0.91, 0.02], [0.01, 0.91, 0.52], [-0.19, 0.91, 0.52]], atol=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello", "no BVH file"),
        (BVH.replace("Frames: 2", "Frames: 9"), "says 9 frames"),
        (BVH.replace("Frame Time: 0.025", ""), "Frame Time"),
        (BVH.replace("90 0 0\n1", "x 0 0\n1"), "something else than numbers"),
        (BVH.replace("OFFSET 0 50 0", "OFFSET 0 oh 0"), "wrong number"),
        (BVH.replace("JOINT Chest", "BONE Chest"), "'BONE'"),
        (BVH.replace("JOINT Chest", "ROOT Chest"), "more than one ROOT"),
    ],
)
def test_bad_bvh_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.bvh").write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read_bvh(tmp_path / "a.bvh")
    assert "\n" not in str(caught.value)


def test_bvh_faults(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_bvh(tmp_path / "none.bvh")
    with pytest.raises(UserError, match="Euler order"):
        write_bvh(walk(body()), tmp_path / "a.bvh", order="XXY")
    with pytest.raises(UserError, match="cannot write"):
        write_bvh(walk(body()), tmp_path / "no" / "a.bvh")
    notes: list[str] = []
    assert guess_scale([-1, 0], np.asarray([[0, 0, 0], [0, 30.0, 0]]), notes) == pytest.approx(0.0254 / 0.45)
    assert "CMU" in notes[0]


def test_a_motion_plays_on_its_rig(arm: Rig) -> None:
    bend = from_clip(arm.skeleton, arm.clips[0])
    fast = replace(bend.resampled(60), name="fast")
    rig = read_rig(glb_bytes(replace(arm, clips=(fast.clip(),))), fps=60)
    assert (rig.clips[0].name, rig.clips[0].frames) == ("fast", 61)
    assert np.allclose(rig.clips[0].rotations, fast.rotations, atol=1e-6)


def test_bad_motions_are_refused() -> None:
    skeleton = body()
    with pytest.raises(UserError, match="finite"):
        Motion(skeleton, 30, np.full((1, 3), np.nan), skeleton.rotations[None])
    with pytest.raises(UserError, match="fps"):
        Motion(skeleton, 0, np.zeros((1, 3)), skeleton.rotations[None])
    with pytest.raises(UserError, match="9 joints"):
        Motion(skeleton, 30, np.zeros((2, 3)), skeleton.rotations[None])
