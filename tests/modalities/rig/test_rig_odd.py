"""`unreel generate` with a rig model on odd input: a good result, or one clear line and exit code 2."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import trimesh

from tests.rigs import box_part, creature, write_tiny_rig
from tests.unreel.conftest import cli
from unreel.modalities.skeleton.glb import glb_bytes, write_glb
from unreel.modalities.skeleton.gltf import read_rig
from unreel.modalities.skeleton.mesh import Mesh, Part
from unreel.modalities.skeleton.meshfile import load_mesh

Cli = Callable[..., tuple[int, str, str]]
__all__ = ["cli"]
CUBE = box_part((0, 0, 0), (1, 1, 1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_rig(tmp_path_factory.mktemp("rig") / "tiny")


def mesh_of(positions: np.ndarray, faces: Sequence[Sequence[int]] | np.ndarray) -> Mesh:
    return Mesh((Part(np.asarray(positions, np.float32), np.asarray(faces)),))


def plane() -> Mesh:
    return Mesh((box_part((0, 0, 0), (2, 0, 1)),))


def millimetres() -> Mesh:
    return creature().scaled(1000)


def holed() -> Mesh:
    """Open and non-manifold: a box without a side and a fin that grows out of an edge."""
    return mesh_of(
        np.concatenate([CUBE.positions, [[2, 0, 0]]]), np.concatenate([CUBE.faces[2:], [[0, 1, 8], [2, 3, 8]]])
    )


def heavy() -> Mesh:
    """81,920 faces."""
    ball = trimesh.creation.icosphere(subdivisions=6)
    return mesh_of(ball.vertices, ball.faces)


def crowd() -> Mesh:
    """Eighty parts that do not touch."""
    return Mesh(tuple(box_part((n % 9, n // 9, 0), (0.5, 0.5, 0.5), f"part {n}") for n in range(80)))


def triangle() -> Mesh:
    return mesh_of(np.eye(3), [[0, 1, 2]])


def far() -> Mesh:
    """A cube a thousand kilometres from the origin."""
    return Mesh((box_part((1e6, 0, 0), (1, 1, 1)),))


def degenerate() -> Mesh:
    """A cube and faces without an area."""
    return mesh_of(CUBE.positions, np.concatenate([CUBE.faces, [[0, 0, 1], [2, 2, 2]]]))


@pytest.mark.parametrize("odd", [plane, millimetres, holed, heavy, crowd, triangle, far, degenerate])
def test_odd_meshes_are_rigged(
    cli: Cli, folder: Path, tmp_path: Path, clean: Callable[[bytes], None], odd: Callable[[], Mesh]
) -> None:
    write_glb(odd(), tmp_path / "odd.glb")
    code, _, err = cli("generate", folder, "-i", f"mesh={tmp_path}/odd.glb", "-o", tmp_path / "rigged.glb")
    assert code == 0, err
    rig = read_rig(tmp_path / "rigged.glb")
    assert len(rig.mesh.faces) == len(odd().faces)
    low, high = odd().bounds
    near = 3 * (high - low).max()
    assert ((rig.skeleton.positions > low - near) & (rig.skeleton.positions < high + near)).all()
    clean((tmp_path / "rigged.glb").read_bytes())


def test_what_is_not_finite_is_left_out(cli: Cli, folder: Path, tmp_path: Path, clean: Callable[[bytes], None]) -> None:
    for number in ("nan", "inf", "1e300"):
        (tmp_path / "odd.obj").write_text(obj(CUBE.positions, CUBE.faces).replace("v 0.5 0.5 0.5", f"v {number} 0 0"))
        code, _, err = cli("generate", folder, "-i", f"mesh={tmp_path}/odd.obj", "-o", tmp_path / "rigged.glb")
        assert code == 0, err
        assert "1 vertices are not finite, left out" in err
        assert len(read_rig(tmp_path / "rigged.glb").mesh.positions) == 7
        clean((tmp_path / "rigged.glb").read_bytes())


def obj(positions: np.ndarray, faces: Sequence[Sequence[int]] | np.ndarray) -> str:
    lines = [f"v {x:g} {y:g} {z:g}" for x, y, z in np.asarray(positions)]
    return "\n".join([*lines, *(f"f {a + 1} {b + 1} {c + 1}" for a, b, c in faces), ""])


def elsewhere(uri: str) -> bytes:
    """A GLB whose buffer is said to lie at ``uri``."""
    data = glb_bytes(creature())
    size = struct.unpack("<I", data[12:16])[0]
    content = json.loads(data[20 : 20 + size])
    content["buffers"][0]["uri"] = uri
    text = json.dumps(content).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text), len(text), b"JSON") + text


BAD: dict[str, tuple[str, str | bytes, str]] = {
    "no faces": ("a.obj", obj(CUBE.positions, []), "no triangles"),
    "all NaN": ("a.obj", obj(CUBE.positions * np.nan, CUBE.faces), "no triangles"),
    "a point": ("a.obj", obj([[1, 1, 1]] * 3, [[0, 1, 2]]), "single point"),
    "a line": ("a.obj", obj([[0, 0, 0], [1, 0, 0], [2, 0, 0]], [[0, 1, 2]]), "no area"),
    "no area": ("a.obj", obj(CUBE.positions, [[0, 0, 1], [2, 3, 2]]), "no area"),
    "enormous": ("a.obj", obj(CUBE.positions * 1e30, CUBE.faces), "longest side of the mesh is 1e+30"),
    "too large for float32": ("a.obj", obj(CUBE.positions * 1e38 * 6, CUBE.faces), "longest side of the mesh is 6e+38"),
    "minute": ("a.obj", obj(CUBE.positions * 1e-30, CUBE.faces), "longest side of the mesh is 1e-30"),
    "one vertex astray": ("a.obj", obj([*CUBE.positions, [1e30, 0, 0]], [*CUBE.faces, [0, 1, 8]]), "astray"),
    "faces of nothing": ("a.obj", obj(CUBE.positions, [*CUBE.faces, [0, 1, 99]]), "cannot be read as OBJ"),
    "empty GLB": ("a.glb", b"", "a.glb is empty"),
    "empty OBJ": ("a.obj", b"", "no triangles"),
    "empty STL": ("a.stl", b"", "no triangles"),
    "empty PLY": ("a.ply", b"", "cannot be read as PLY"),
    "text": ("a.glb", "This is no mesh.\n", "no glTF file"),
    "bytes": ("a.stl", bytes(range(256)) * 8, "no triangles"),
    "half a GLB": ("a.glb", glb_bytes(creature())[:2000], "cut short"),
    "a buffer that is not there": ("a.glb", elsewhere("data.bin"), "needs 'data.bin' beside it"),
    "a buffer on the web": ("a.glb", elsewhere("http://example.com/a.bin"), "copy it too or export a .glb"),
    "a buffer of the system": ("a.glb", elsewhere("../../../../etc/passwd"), "points out of its folder"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_rigged_is_one_line(cli: Cli, folder: Path, tmp_path: Path, kind: str) -> None:
    name, content, words = BAD[kind]
    (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    code, out, err = cli("generate", folder, "-i", f"mesh={tmp_path}/{name}", "-o", tmp_path / "rigged.glb")
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert len(err.strip().splitlines()) == 1
    assert words in err
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_buffer_beside_the_file_is_read(cli: Cli, folder: Path, tmp_path: Path) -> None:
    data = glb_bytes(creature())
    (tmp_path / "data.bin").write_bytes(data[28 + struct.unpack("<I", data[12:16])[0] :])
    (tmp_path / "a.glb").write_bytes(elsewhere("data.bin"))
    code, _, err = cli("generate", folder, "-i", f"mesh={tmp_path}/a.glb", "-o", tmp_path / "rigged.glb")
    assert code == 0, err
    assert np.allclose(read_rig(tmp_path / "rigged.glb").mesh.positions, creature().positions, atol=1e-6)


def test_small_things_are_closed_surfaces_too(tmp_path: Path) -> None:
    """Vertices count as one when they are close for the size of the mesh."""
    for scale in (1e-4, 1.0, 1e6):
        (tmp_path / "a.obj").write_text(obj(CUBE.positions * scale, CUBE.faces))
        assert not any("not closed" in note for note in load_mesh(tmp_path / "a.obj").notes)
