"""`unreel generate` with a motion model: rigs, paths, poses, every kind of file, the numbers."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.motion import walk, write_tiny_motion
from tests.unreel.conftest import cli
from unreel.engine.errors import UserError
from unreel.modalities.motion.body import BODY, shaped
from unreel.modalities.motion.figure import figure, spindle
from unreel.modalities.motion.works import read_pose
from unreel.modalities.skeleton.bvh import read_bvh, write_bvh
from unreel.modalities.skeleton.glb import write_glb
from unreel.modalities.skeleton.gltf import read_rig
from unreel.modalities.skeleton.materials import Looks, Picture, plain_material
from unreel.modalities.skeleton.mesh import Mesh
from unreel.modalities.skeleton.motion import Motion
from unreel.modalities.skeleton.rotations import unit

Cli = Callable[..., tuple[int, str, str]]
__all__ = ["cli"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_motion(tmp_path_factory.mktemp("motion") / "tiny")


@pytest.fixture(scope="module")
def giant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rig twice as large, with a long neck."""
    ratio = np.ones(len(BODY))
    ratio[BODY.index("neck")] = 2.0
    path = tmp_path_factory.mktemp("rigs") / "giant.glb"
    write_glb(figure(shaped(ratio).scaled(2.0)), path)
    return path


def test_a_rig_moves(cli: Cli, folder: Path, giant: Path, tmp_path: Path, clean: Callable[[bytes], None]) -> None:
    out, numbers = tmp_path / "walking.glb", tmp_path / "n.json"
    wish = ("generate", folder, "-i", f"rig={giant}", "-i", "text=walk: slowly", "--seconds", 0.5, "-o")
    code, told, err = cli(*wish, out, "--json", numbers, "--seed", 4)
    assert code == 0, err
    assert f"{out}: 15 poses, 0.5 s at 30 per second" in told
    clean(out.read_bytes())
    rig = read_rig(out)
    assert [clip.name for clip in rig.clips] == ["walk: slowly"]
    assert rig.clips[0].frames == 15
    assert rig.skeleton.names == read_rig(giant).skeleton.names
    assert len(rig.mesh.positions) == len(read_rig(giant).mesh.positions)
    report = json.loads(numbers.read_text())
    assert (report["frames"], report["chunks"]) == (15, 4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["n.json", "walking.glb"]
    assert cli(*wish, tmp_path / "again.glb", "--seed", 4)[0] == 0
    assert (tmp_path / "again.glb").read_bytes() == out.read_bytes()


def test_files_hold_the_same_motion(cli: Cli, folder: Path, tmp_path: Path, clean: Callable[[bytes], None]) -> None:
    for suffix in ("npz", "bvh", "glb"):
        code, _, err = cli("generate", folder, "--frames", 10, "-o", tmp_path / f"m.{suffix}")
        assert code == 0, err
    motion, bvh = Motion.load(tmp_path / "m.npz"), read_bvh(tmp_path / "m.bvh", scale=0.01)
    assert motion.frames == bvh.frames == 10
    assert np.abs(motion.positions() - bvh.positions()[:, [bvh.skeleton.index(n) for n in BODY.names]]).max() < 1e-3
    clean((tmp_path / "m.glb").read_bytes())
    rig = read_rig(tmp_path / "m.glb")
    found = rig.clips[0].globals(rig.skeleton)[..., :3, 3]
    order = [rig.skeleton.index(name) for name in BODY.names]
    assert np.abs(motion.positions() - found[:, order]).max() < 1e-3


def test_looks_of_a_rig_stay(
    cli: Cli, folder: Path, giant: Path, tmp_path: Path, clean: Callable[[bytes], None]
) -> None:
    """Pictures, texture coordinates, normals and tints of a rig that came from elsewhere, with a clip of its own."""
    rig = read_rig(giant)
    part = rig.mesh.parts[0]
    random = np.random.default_rng(2)
    uv = random.random((len(part.positions), 2)).astype(np.float32)
    tint = random.random((len(part.positions), 4)).astype(np.float32)
    normals = unit(random.normal(size=part.positions.shape)).astype(np.float32)
    red = io.BytesIO()
    Image.new("RGB", (4, 4), (200, 30, 30)).save(red, "PNG")
    looks = Looks(
        (plain_material((1, 1, 1, 1), "skin", texture=0),),
        ({"source": 0},),
        (),
        (Picture(red.getvalue(), "image/png"),),
    )
    part = replace(part, uvs=(uv,), colours=tint, normals=normals, material=0)
    own = walk(0.2).clip("own")
    plain = [replace(other, material=None) for other in rig.mesh.parts[1:]]
    write_glb(replace(rig, mesh=Mesh((part, *plain), looks), clips=(own,)), tmp_path / "dressed.glb")
    out = tmp_path / "walking.glb"
    code, _, err = cli("generate", folder, "-i", f"rig={tmp_path}/dressed.glb", "--frames", 6, "-o", out)
    assert code == 0, err
    clean(out.read_bytes())
    found = read_rig(out)
    assert [clip.frames for clip in found.clips] == [6]
    shown = found.mesh.parts[0]
    assert np.array_equal(shown.uvs[0], uv)
    assert np.allclose(shown.normals, normals, atol=1e-6)
    assert np.allclose(shown.colours, tint, atol=1e-4)
    assert found.mesh.looks.images[0].data == red.getvalue()
    assert found.mesh.looks.materials[0]["name"] == "skin"


def test_a_film_of_it(cli: Cli, folder: Path, tmp_path: Path) -> None:
    code, told, err = cli("generate", folder, "--frames", 5, "-o", tmp_path / "m.gif", "-i", "contacts=true")
    assert code == 0, err
    assert "5 frames, 64x48" in told


def test_it_goes_on_from_a_pose_along_a_path(cli: Cli, folder: Path, tmp_path: Path) -> None:
    write_bvh(walk(1.0), tmp_path / "walk.bvh")
    (tmp_path / "path.json").write_text(json.dumps({"points": [[0, 0], [0, 9]], "speed": 2, "closed": False}))
    outs = []
    for number, extra in enumerate(
        ([], ["-i", f"pose={tmp_path}/walk.bvh"], ["-i", f"path={tmp_path}/path.json"], ["-i", "path=[[0,0],[5,0]]"])
    ):
        code, _, err = cli("generate", folder, "--frames", 12, "-o", tmp_path / f"{number}.npz", *extra)
        assert code == 0, err
        outs.append(Motion.load(tmp_path / f"{number}.npz").rotations)
    assert not np.array_equal(outs[0], outs[1])


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["-i", "contacts=2"], "contacts is true or false"),
        (["-i", "path=none.json"], "JSON file"),
        (["-i", "pose=walk.txt"], "pose takes"),
        (["-i", "text=?"], "English words"),
        (["-i", "rig=none.glb"], "none.glb"),
        (["--fps", "24"], "leave --fps out"),
        (["--seconds", "2", "--frames", "3"], "not both"),
        (["--seconds", "0"], "must be 1 or more"),
    ],
)
def test_what_cannot_be_is_one_line(cli: Cli, folder: Path, tmp_path: Path, arguments: list[str], fault: str) -> None:
    code, _, err = cli("generate", folder, "-o", tmp_path / "m.glb", *arguments)
    assert code == 2
    assert fault in err
    assert len(err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_other_files_are_refused(cli: Cli, folder: Path, tmp_path: Path) -> None:
    code, _, err = cli("generate", folder, "-o", tmp_path / "m.fbx")
    assert code == 2
    assert "must end in one of .glb, .bvh" in err


def test_one_pose_is_held(tmp_path: Path) -> None:
    write_glb(figure(BODY), tmp_path / "rest.glb")
    assert read_pose(tmp_path / "rest.glb").frames == 9
    walk(3.0).save(tmp_path / "w.npz")
    assert read_pose(tmp_path / "w.npz").frames == 64
    with pytest.raises(UserError, match="pose takes"):
        read_pose(tmp_path / "w.fbx")


def test_a_spindle_is_closed_and_faces_outward() -> None:
    positions, normals, faces = spindle(np.zeros(3), np.asarray([0.0, 0.0, 1.0]))
    centres = positions[faces].mean(1)
    assert (((centres - (0, 0, 0.3)) * normals[faces[:, 0]]).sum(1) > 0).all()
    assert figure(BODY).weights.sum(1).min() == 1
