"""Mesh files of every kind, odd ones too, and what a model sees of them."""

import io
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from unreel.engine.errors import UserError
from unreel.modalities.skeleton.glb import glb_bytes
from unreel.modalities.skeleton.materials import bare_png
from unreel.modalities.skeleton.mesh import Mesh, Part, box_of, unit_guess, vertex_normals
from unreel.modalities.skeleton.meshfile import load_mesh
from unreel.modalities.skeleton.primitives import moved
from unreel.modalities.skeleton.rig import Rig
from unreel.modalities.skeleton.rotations import to_matrix, unit
from unreel.modalities.skeleton.surface import clustered, decimated, sample_surface, welded
from unreel.modalities.skeleton.tangents import vertex_tangents

CUBE = trimesh.creation.box((1, 2, 3))


def exported(mesh: trimesh.Trimesh, kind: str) -> bytes:
    data = mesh.export(file_type=kind)
    return data.encode() if isinstance(data, str) else data


def mesh_of(shape: trimesh.Trimesh) -> Mesh:
    return Mesh((Part(np.asarray(shape.vertices, np.float32), np.asarray(shape.faces)),))


@pytest.mark.parametrize("kind", ["glb", "obj", "ply", "stl", "off"])
def test_every_kind_reads(kind: str) -> None:
    mesh = load_mesh(exported(CUBE, kind), f".{kind}")
    assert len(mesh.faces) == 12
    assert np.allclose(mesh.bounds, [[-0.5, -1, -1.5], [0.5, 1, 1.5]])
    assert mesh.notes == ()


def test_an_obj_keeps_its_texture(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2), (10, 200, 30)).save(tmp_path / "skin.png")
    (tmp_path / "a.mtl").write_text("newmtl m\nKd 1 1 1\nmap_Kd skin.png\n")
    lines = ["mtllib a.mtl", "v 0 0 0", "v 1 0 0", "v 0 1 0", "vt 0 0", "vt 1 0", "vt 0 1", "usemtl m", "f 1/1 2/2 3/3"]
    (tmp_path / "a.obj").write_text("\n".join(lines) + "\n")
    mesh = load_mesh(tmp_path / "a.obj")
    assert np.allclose(mesh.parts[0].uvs[0], [[0, 1], [1, 1], [0, 0]])  # glTF counts v from above
    picture = mesh.looks.picture(mesh.parts[0].material)
    assert picture is not None
    assert Image.open(io.BytesIO(picture.data)).getpixel((0, 0))[:3] == (10, 200, 30)


def test_a_scene_is_flattened_and_parts_stay(arm: Rig) -> None:
    scene = trimesh.Scene([CUBE, CUBE.copy().apply_translation([5, 0, 0])])
    mesh = load_mesh(scene.export(file_type="glb"), ".glb")
    assert len(mesh.parts) == 2
    assert np.allclose(mesh.bounds[1], [5.5, 1, 1.5])
    assert mesh.starts.tolist() == [0, 8, 16]


def test_vertex_colours_survive() -> None:
    shape = CUBE.copy()
    shape.visual = trimesh.visual.ColorVisuals(shape, vertex_colors=np.tile([255, 0, 0, 255], (8, 1)))
    mesh = load_mesh(exported(shape, "ply"), ".ply")
    assert mesh.parts[0].colours is not None
    assert np.allclose(mesh.parts[0].colours[0], [1, 0, 0, 1])


def test_an_already_rigged_file_says_so(arm: Rig) -> None:
    mesh = load_mesh(glb_bytes(arm), ".glb")
    assert mesh.notes[0].startswith("already rigged with 2 joints")
    assert np.allclose(mesh.positions, arm.mesh.positions)


@pytest.mark.parametrize(
    ("data", "suffix", "message"),
    [
        (b"", ".obj", "no triangles"),
        (b"v 0 0 0\nv 1 0 0\n", ".obj", "no triangles"),
        (b"junk", ".ply", "cannot be read as PLY"),
        (b"junk", ".glb", "no glTF file"),
        (b"junk", ".fbx", "of a kind that unreel does not read"),
        (b"OFF\n3 1 0\n0 0 0\n0 0 0\n0 0 0\n3 0 1 2\n", ".off", "single point"),
    ],
)
def test_nothing_to_work_with_is_one_line(data: bytes, suffix: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        load_mesh(data, suffix)
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no file"):
        load_mesh(tmp_path / "a.stl")


def test_nan_vertices_are_left_out() -> None:
    shape = CUBE.copy()
    shape.vertices[0] = np.nan
    mesh = load_mesh(exported(shape, "off"), ".off")
    assert np.isfinite(mesh.positions).all()
    assert 0 < len(mesh.faces) < 12
    assert any("not finite" in note for note in mesh.notes)


def test_flat_open_large_and_tiny_meshes_are_remarked_on() -> None:
    flat = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], [[0, 1, 2], [0, 2, 3]])
    notes = load_mesh(exported(flat, "off"), ".off").notes
    assert any("flat" in note for note in notes)
    assert any("not closed" in note for note in notes)
    large = CUBE.copy()
    large.apply_scale(600)
    assert any("millimetres; scale by 0.001" in note for note in load_mesh(exported(large, "stl"), ".stl").notes)
    assert unit_guess(180)[1] == 0.01
    assert unit_guess(1.8) == ("metres", 1.0)
    large.apply_scale(1e-5)
    assert any("only" in note for note in load_mesh(exported(large, "off"), ".off").notes)


def test_the_unit_box_and_back() -> None:
    points = np.asarray(CUBE.vertices, np.float32) + 7
    box = box_of(points)
    assert np.allclose(box.to_unit(points).max(0), [1 / 6, 1 / 3, 0.5])
    assert np.allclose(box.to_world(box.to_unit(points)), points, atol=1e-5)


def test_samples_lie_on_the_surface_and_repeat() -> None:
    sphere = trimesh.creation.icosphere(3)
    mesh = mesh_of(sphere)
    samples = sample_surface(mesh.positions, mesh.faces, 4000, seed=5)
    assert np.allclose(np.linalg.norm(samples.points, axis=1), 1, atol=0.02)
    assert (np.sum(samples.points * samples.normals, 1) > 0.98).all()
    assert np.allclose(samples.carry(mesh.faces, mesh.positions), samples.points, atol=1e-6)
    assert abs(float((samples.points[:, 1] > 0).mean()) - 0.5) < 0.01
    again = sample_surface(mesh.positions, mesh.faces, 4000, seed=5)
    assert np.array_equal(again.points, samples.points)
    assert not np.array_equal(sample_surface(mesh.positions, mesh.faces, 4000, seed=6).points, samples.points)
    with pytest.raises(UserError, match="no area"):
        sample_surface(np.zeros((3, 3), np.float32), np.asarray([[0, 1, 2]]), 10, 0)


def test_larger_faces_get_more_samples() -> None:
    points = np.asarray([[0, 0, 0], [3, 0, 0], [0, 3, 0], [9, 0, 0], [10, 0, 0], [9, 1, 0]], np.float32)
    samples = sample_surface(points, np.asarray([[0, 1, 2], [3, 4, 5]]), 1000, 0)
    assert abs(int((samples.faces == 0).sum()) - 900) <= 1


def test_decimation_keeps_the_shape() -> None:
    mesh = mesh_of(trimesh.creation.icosphere(5))
    points, faces = decimated(mesh, 1000)
    assert 800 <= len(faces) <= 1100
    assert np.abs(np.linalg.norm(points, axis=1) - 1).max() < 0.05
    assert len(mesh.faces) == 20480
    same, whole = decimated(mesh, 30_000)
    assert len(whole) == 20480
    assert len(same) == len(mesh.positions)


def test_very_many_faces_are_thinned_first() -> None:
    mesh = mesh_of(trimesh.creation.icosphere(7))
    points, faces = decimated(mesh, 2000)
    assert 1500 <= len(faces) <= 2200
    assert np.abs(np.linalg.norm(points, axis=1) - 1).max() < 0.05


def test_welding_and_clustering() -> None:
    shape = trimesh.creation.box()
    loose = np.asarray(shape.triangles, np.float32).reshape(-1, 3)
    points, faces = welded(loose, np.arange(36).reshape(-1, 3))
    assert (len(points), len(faces)) == (8, 12)
    points, faces = clustered(np.asarray(shape.vertices, np.float32), np.asarray(shape.faces), 100)
    assert len(faces) == 12


def test_normals_of_vertices() -> None:
    sphere = trimesh.creation.icosphere(3)
    normals = vertex_normals(np.asarray(sphere.vertices, np.float32), np.asarray(sphere.faces))
    assert (np.sum(normals * sphere.vertices, 1) > 0.999).all()
    assert vertex_normals(np.zeros((3, 3), np.float32), np.asarray([[0, 1, 2]])).tolist() == [[0, 1, 0]] * 3


def test_parts_are_carried_and_mirrored() -> None:
    turn = np.eye(4)
    turn[:3, :3] = to_matrix(unit(np.asarray([0.1, 0.2, 0.3, 0.9]))) @ np.diag([1, 2, -3])
    sphere = trimesh.creation.icosphere(2)
    part = Part(
        np.asarray(sphere.vertices, np.float32), np.asarray(sphere.faces), np.asarray(sphere.vertices, np.float32)
    )
    carried = moved(part, turn)
    assert carried.normals is not None
    inside_out = np.sum(vertex_normals(carried.positions, carried.faces) * carried.normals, 1)
    assert (inside_out > 0.95).all()


def test_tangents_run_along_u() -> None:
    points = np.asarray([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32)
    normals, faces = np.tile(np.asarray([0, 0, 1.0]), (3, 1)), np.asarray([[0, 1, 2]])
    straight = vertex_tangents(points, normals, np.asarray([[0, 0], [1, 0], [0, 1]], np.float32), faces)
    assert np.allclose(straight, [[1, 0, 0, 1]] * 3)
    flipped = vertex_tangents(points, normals, np.asarray([[0, 0], [1, 0], [0, -1]], np.float32), faces)
    assert np.allclose(flipped, [[1, 0, 0, -1]] * 3)
    nothing = vertex_tangents(points, normals, np.zeros((3, 2), np.float32), faces)
    assert np.allclose(np.linalg.norm(nothing[:, :3], axis=1), 1)


def test_a_png_loses_only_what_gltf_ignores() -> None:
    out = io.BytesIO()
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (9, 7, 3), np.uint8))
    image.save(out, "PNG", dpi=(72, 144), gamma=0.5)
    bare = bare_png(out.getvalue())
    assert b"pHYs" not in bare
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(bare))), np.asarray(image))
    assert bare_png(bare) == bare
    assert bare_png(b"\xff\xd8\xffjpeg") == b"\xff\xd8\xffjpeg"


def test_a_mesh_needs_a_face() -> None:
    with pytest.raises(UserError, match="at least one triangle"):
        Mesh((Part(np.zeros((3, 3), np.float32), np.zeros((0, 3), np.int64)),))
