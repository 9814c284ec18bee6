"""`unreel generate` with a rig model on every kind of file: what comes out is valid, and the surface is as it came."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from tests.modalities.skeleton.conftest import arm
from tests.rigs import creature, write_tiny_rig
from tests.unreel.conftest import cli
from unreel.modalities.skeleton.glb import write_glb
from unreel.modalities.skeleton.gltf import read_rig
from unreel.modalities.skeleton.meshfile import load_mesh
from unreel.modalities.skeleton.rig import Rig

Cli = Callable[..., tuple[int, str, str]]
__all__ = ["arm", "cli"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_rig(tmp_path_factory.mktemp("rig") / "tiny")


def write_obj(path: Path, arm: Rig) -> None:
    """Two materials, one with a texture; texture coordinates and normals that no face would give."""
    Image.new("RGB", (4, 4), (10, 200, 30)).save(path.with_name("skin.png"))
    path.with_name("a.mtl").write_text("newmtl skin\nmap_Kd skin.png\nnewmtl cloth\nKd 0.2 0.4 0.8\n")
    lines = ["mtllib a.mtl", *(f"v {x} {y} {z}" for x, y, z in [(0, 0, 0), (2, 0, 0), (0, 1, 0), (0, 0, 1)])]
    lines += ["vt 0 0", "vt 1 0", "vt 0 1", "vt 1 1", "vn 0 0.6 0.8", "vn 0.6 0 -0.8", "vn -1 0 0", "vn 0 1 0"]
    lines += ["usemtl skin", "f 1/1/1 2/2/2 3/3/3", "f 1/1/1 4/4/4 2/2/2", "usemtl cloth", "f 1/1/1 3/3/3 4/4/4"]
    path.write_text("\n".join([*lines, "f 2/2/2 4/4/4 3/3/3", ""]))


def write_ply(path: Path, arm: Rig) -> None:
    """Colours and normals of vertices."""
    shape = trimesh.creation.icosphere(1)
    colours = np.random.default_rng(1).integers(0, 256, (len(shape.vertices), 4)).astype(np.uint8)
    turned = np.asarray(shape.vertices) @ np.asarray([[0, 1, 0], [0, 0, 1], [1, 0, 0]])
    made = trimesh.Trimesh(shape.vertices, shape.faces, vertex_normals=turned, vertex_colors=colours, process=False)
    path.write_bytes(made.export(file_type="ply", vertex_normal=True))


def write_stl(path: Path, arm: Rig) -> None:
    creature_ = creature()
    trimesh.Trimesh(creature_.positions, creature_.faces, process=False).export(path)


def write_arm(path: Path, arm: Rig) -> None:
    """Two materials, two pictures, texture coordinates, tints of vertices; no skeleton."""
    write_glb(arm.mesh, path)


def write_rigged(path: Path, arm: Rig) -> None:
    """The same with a skeleton and a clip."""
    write_glb(arm, path)


KINDS = {
    "a.obj": (write_obj, ()), "a.ply": (write_ply, ()), "a.stl": (write_stl, ()), "a.glb": (write_arm, ()),
    "replaced.glb": (write_rigged, ("-i", "rig=replace")), "kept.glb": (write_rigged, ("-i", "rig=keep")),
}  # fmt: skip


@pytest.fixture(params=KINDS)
def made(request: pytest.FixtureRequest, cli: Cli, folder: Path, tmp_path: Path, arm: Rig) -> tuple[Path, Path]:
    """A file, and what the command made of it."""
    write, more = KINDS[request.param]
    source, out = tmp_path / request.param, tmp_path / "out" / "rigged.glb"
    out.parent.mkdir()
    write(source, arm)
    code, _, err = cli("generate", folder, "-i", f"mesh={source}", *more, "-o", out)
    assert code == 0, err
    return source, out


def test_the_validator_has_nothing_to_say(made: tuple[Path, Path], clean: Callable[[bytes], None]) -> None:
    clean(made[1].read_bytes())


def test_the_surface_is_as_it_came(made: tuple[Path, Path]) -> None:
    """Every vertex, face, normal, texture coordinate, tint, material and picture, part by part."""
    before, after = load_mesh(made[0]), read_rig(made[1]).mesh
    assert len(after.parts) == len(before.parts)
    for one, other in zip(before.parts, after.parts, strict=True):
        assert np.allclose(other.positions, one.positions, atol=1e-6)
        assert np.array_equal(other.faces, one.faces)
        assert (other.colours is None) == (one.colours is None)
        assert one.colours is None or np.allclose(other.colours, one.colours, atol=1e-4)
        assert one.normals is None or np.allclose(other.normals, one.normals, atol=1e-6)
        assert len(other.uvs) == len(one.uvs)
        assert all(np.array_equal(a, b) for a, b in zip(other.uvs, one.uvs, strict=True))
        assert after.looks.materials[other.material] == before.looks.materials[one.material]
    assert [picture.data for picture in after.looks.images] == [picture.data for picture in before.looks.images]


def test_trimesh_reads_what_it_read_before(made: tuple[Path, Path]) -> None:
    """Not through our own reader on either side; in no order, for it has none among geometries."""
    source, out = (trimesh.load_scene(path, process=False).to_geometry().triangles.round(4) + 0.0 for path in made)
    assert sorted(out.tolist()) == sorted(source.tolist())


def test_normals_and_pictures_of_other_files_are_read(tmp_path: Path, arm: Rig) -> None:
    """What the tests above compare is there, and is what was written."""
    write_obj(tmp_path / "a.obj", arm)
    obj = load_mesh(tmp_path / "a.obj")
    assert len(obj.parts) == len(obj.looks.materials) == 2
    assert Image.open(io.BytesIO(obj.looks.images[0].data)).getpixel((0, 0))[:3] == (10, 200, 30)
    assert obj.parts[0].normals is not None
    assert np.allclose(sorted(obj.parts[0].normals.tolist())[-1], [0.6, 0, -0.8], atol=1e-6)
    write_ply(tmp_path / "a.ply", arm)
    ply = load_mesh(tmp_path / "a.ply").parts[0]
    assert ply.normals is not None
    assert ply.colours is not None
    assert np.allclose(ply.normals, ply.positions[:, [2, 0, 1]], atol=1e-5)
