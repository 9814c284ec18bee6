"""Training folders: who is the same, who is held out, who is left out; and rigs made natural."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from unreel.engine.errors import UserError
from unreel.modalities.skeleton.catalog import body_hash, family, read_catalog
from unreel.modalities.skeleton.clips import from_globals
from unreel.modalities.skeleton.glb import glb_bytes, write_glb
from unreel.modalities.skeleton.mesh import Mesh
from unreel.modalities.skeleton.motion import from_clip
from unreel.modalities.skeleton.natural import natural
from unreel.modalities.skeleton.rig import Rig
from unreel.modalities.skeleton.rotations import from_axis_angle, to_matrix
from unreel.modalities.skeleton.skeleton import Skeleton


def stretched(arm: Rig, x: float, z: float) -> Rig:
    """Another body: the tube squeezed and twisted, so that its shape is its own."""
    positions = arm.mesh.positions.copy()
    positions[:, 0] = positions[:, 0] * x + z * positions[:, 1] ** 2
    positions[:, 2] *= z
    return replace(arm, mesh=arm.mesh.with_positions(positions))


@pytest.fixture
def folder(arm: Rig, tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    write_glb(arm, tmp_path / "Arm.glb")
    write_glb(stretched(arm, 3, 0.5), tmp_path / "deep" / "Leg.glb")
    other = replace(
        arm, mesh=arm.mesh.with_positions(arm.mesh.positions[:, [0, 1, 2]] * 3), skeleton=arm.skeleton.scaled(3)
    )
    write_glb(replace(other, clips=()), tmp_path / "Copy.glb")
    write_glb(stretched(arm, 1, 4), tmp_path / "Leg-2.glb")
    (tmp_path / "mesh.glb").write_bytes(glb_bytes(arm.mesh))
    (tmp_path / "junk.glb").write_bytes(b"junk")
    (tmp_path / "notes.txt").write_text("no")
    return tmp_path


def test_the_same_body_is_on_one_side(folder: Path) -> None:
    catalog = read_catalog(folder, joints=(2, 50))
    found = {entry.name: entry for entry in catalog.entries}
    assert sorted(found) == ["Arm", "Copy", "Leg", "Leg-2"]
    assert found["Arm"].character == found["Copy"].character  # the same vertices, three times as large
    assert found["Leg"].character == found["Leg-2"].character  # one family by name
    assert found["Arm"].character != found["Leg"].character
    assert found["Arm"].clips == ("bend",)
    assert (found["Arm"].joints, found["Arm"].weighted) == (2, 2)
    reasons = {skipped.path.name: skipped.reason for skipped in catalog.skipped}
    assert "has no skin" in reasons["mesh.glb"]
    assert "no glTF file" in reasons["junk.glb"]


def test_the_split_depends_on_bodies_only(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    catalog = read_catalog(folder, joints=(2, 50), held_out=0.5)
    assert len(catalog.train) + len(catalog.held_out) == 4
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for number, entry in enumerate(reversed(catalog.entries)):
        shutil.copy(entry.path, elsewhere / f"{'xyzw'[number]}{entry.name}.glb")
    moved = {entry.name[1:]: entry.held_out for entry in read_catalog(elsewhere, joints=(2, 50), held_out=0.5).entries}
    assert {name: moved[name] for name in ("Arm", "Copy")} == {
        entry.name: entry.held_out for entry in catalog.entries if entry.name in ("Arm", "Copy")
    }
    assert read_catalog(folder, joints=(2, 50), held_out=0).held_out == ()
    assert read_catalog(folder, joints=(2, 50), held_out=1).train == ()


def test_reasons_to_leave_a_file_out(folder: Path) -> None:
    reasons = {skipped.path.name: skipped.reason for skipped in read_catalog(folder).skipped}
    assert reasons["Arm.glb"] == "2 joints carry something; asked for 3 to 128"
    empty = folder / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match="there is no folder"):
        read_catalog(folder / "none")
    with pytest.raises(UserError, match=r"no \.glb"):
        read_catalog(empty)


def test_body_hashes(arm: Rig) -> None:
    turned = Mesh(arm.mesh.parts[::-1], arm.mesh.looks)
    other = replace(arm, mesh=turned, joints=arm.joints, weights=arm.weights)
    assert body_hash(other) == body_hash(arm)
    assert body_hash(stretched(arm, 2, 1)) != body_hash(arm)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("quaternius-Tank2", "quaternius-Tank", True),
        ("quaternius-Horse_White", "quaternius-Horse", True),
        ("quaternius-Enemy_Large_Gun", "quaternius-Enemy_Large", True),
        ("quaternius-Enemy_Flying", "quaternius-Enemy_Large", False),
        ("quaternius-BlueTang", "quaternius-YellowTang", True),
        ("mesh2motion-fox-cat", "mesh2motion-fox-dog", False),
        ("42", "43", False),
    ],
)
def test_families(one: str, other: str, same: bool) -> None:
    assert (family(one) == family(other)) is same


def wild(arm: Rig, names: list[str]) -> Rig:
    """The arm as animators rig it: its upper half hangs on a control, beside a handle that carries nothing."""
    places = np.asarray([[0, 0, 0], [0, 0, 0], [1, 0, 0], [0, 1, 0], [2, 0, 0]])
    skeleton = Skeleton.from_positions(names, np.asarray([-1, 0, 0, 2, 0]), places)
    joints = np.where(arm.weights > 0, np.asarray([1, 3])[arm.joints], 0)
    return replace(arm, skeleton=skeleton, joints=joints, clips=())


def test_loose_joints_hang_on_what_holds_them(arm: Rig) -> None:
    """The lower half turns, the upper one is carried along by its own keys, turning on top."""
    rig = wild(arm, ["control", "lower", "lift", "upper", "handle"])
    world = np.tile(rig.skeleton.globals.astype(np.float64), (9, 1, 1, 1))
    turn = to_matrix(from_axis_angle(np.asarray([1.0, 0, 0]), np.linspace(0, 1.5, 9)))
    world[:, 1, :3, :3] = turn
    world[:, 3, :3, :3] = turn @ turn
    world[:, 3, :3, 3] = turn @ np.asarray([0, 1.0, 0])
    rig = replace(rig, clips=(from_globals("swing", 30, rig.skeleton, world),))
    better = natural(rig)
    assert better.skeleton.names == ("lower", "upper")
    before, after = (one.posed(one.clips[0].globals(one.skeleton)[8]).positions for one in (rig, better))
    assert np.allclose(before, after, atol=1e-5)
    assert np.allclose(better.clips[0].translations[:, 1], [0, 1, 0], atol=1e-5)
    assert from_clip(better.skeleton, better.clips[0]).notes == ()
    assert from_clip(rig.skeleton, rig.clips[0]).notes != ()
    assert natural(better).skeleton.parents.tolist() == [-1, 0]


def test_joints_that_are_held_stay(arm: Rig) -> None:
    rig = wild(arm, ["control", "lower", "lift", "upper", "handle"])
    still = from_globals("still", 30, rig.skeleton, np.tile(rig.skeleton.globals, (3, 1, 1, 1)))
    assert natural(replace(rig, clips=(still,))).skeleton.names == ("control", "lower", "lift", "upper")


def test_without_clips_names_tell(arm: Rig) -> None:
    rig = natural(wild(arm, ["control", "LowerLeg.L", "ik.L", "Foot.L", "handle"]))
    assert rig.skeleton.names == ("LowerLeg.L", "Foot.L")
    assert natural(wild(arm, ["control", "a", "b", "c", "d"])).skeleton.names == ("control", "a", "b", "c")


def test_pruning_and_scaling(arm: Rig) -> None:
    places = np.concatenate([arm.skeleton.positions, [[0, 2, 0]]])
    tipped = Skeleton.from_positions(["lower", "upper", "tip"], np.asarray([-1, 0, 1]), places)
    rig = replace(arm, skeleton=tipped, clips=())
    assert rig.pruned().skeleton.names == ("lower", "upper")
    one = rig.take(np.asarray([0]))
    assert (one.joints == 0).all()
    assert np.allclose(one.weights[:, 0], 1)
    double = arm.scaled(2)
    assert np.allclose(double.mesh.positions, 2 * arm.mesh.positions)
    pose = double.clips[0].globals(double.skeleton)[30]
    expected = 2 * arm.posed(arm.clips[0].globals(arm.skeleton)[30]).positions
    assert np.allclose(double.posed(pose).positions, expected, atol=1e-5)


def test_bad_rigs_are_refused(arm: Rig) -> None:
    with pytest.raises(UserError, match="four joints and weights"):
        replace(arm, joints=arm.joints[:, :2])
    with pytest.raises(UserError, match="joints are 0 to 1"):
        replace(arm, joints=arm.joints + 1)
