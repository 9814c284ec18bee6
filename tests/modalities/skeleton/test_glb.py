"""Files we write: valid to Khronos, and the same when they are read again, by us and by others."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pygltflib
import pytest
import trimesh

from unreel.engine.errors import UserError
from unreel.modalities.skeleton.clips import Clip
from unreel.modalities.skeleton.document import load_document
from unreel.modalities.skeleton.glb import add_clips, glb_bytes, write_glb
from unreel.modalities.skeleton.gltf import read_rig
from unreel.modalities.skeleton.mesh import Mesh
from unreel.modalities.skeleton.meshfile import load_mesh
from unreel.modalities.skeleton.rig import Rig

Clean = Callable[[bytes], None]


def same_rig(a: Rig, b: Rig) -> None:
    assert b.skeleton.names == a.skeleton.names
    assert b.skeleton.parents.tolist() == a.skeleton.parents.tolist()
    assert np.allclose(b.skeleton.globals, a.skeleton.globals, atol=1e-5)
    assert np.allclose(b.mesh.positions, a.mesh.positions, atol=1e-5)
    assert b.mesh.faces.tolist() == a.mesh.faces.tolist()
    assert np.allclose(b.weights, a.weights, atol=1e-6)
    assert [part.name for part in b.mesh.parts] == [part.name for part in a.mesh.parts]


def test_a_rig_comes_back_as_it_was(arm: Rig, clean: Clean) -> None:
    data = glb_bytes(arm)
    clean(data)
    again = read_rig(data)
    same_rig(arm, again)
    assert again.notes == ()
    assert np.allclose(again.clips[0].rotations, arm.clips[0].rotations, atol=1e-6)
    assert (again.clips[0].name, again.clips[0].frames, again.clips[0].fps) == ("bend", 31, 30)
    clean(glb_bytes(again))


def test_looks_survive_byte_for_byte(arm: Rig) -> None:
    looks = read_rig(glb_bytes(arm)).mesh.looks
    assert [image.data for image in looks.images] == [image.data for image in arm.mesh.looks.images]
    assert looks.materials == arm.mesh.looks.materials
    assert (looks.textures, looks.samplers) == (arm.mesh.looks.textures, arm.mesh.looks.samplers)
    parts = read_rig(glb_bytes(arm)).mesh.parts
    assert np.array_equal(parts[0].uvs[0], arm.mesh.parts[0].uvs[0])
    assert parts[1].colours is not None
    assert np.allclose(parts[1].colours[0], [1, 0.5, 0.25, 1], atol=1e-4)


def test_a_mesh_without_a_skeleton(arm: Rig, clean: Clean) -> None:
    data = glb_bytes(arm.mesh)
    clean(data)
    mesh = load_mesh(data, ".glb")
    assert np.allclose(mesh.positions, arm.mesh.positions)
    with pytest.raises(UserError, match="has no skin"):
        read_rig(data)


def test_a_skin_is_added_to_a_glb(arm: Rig, clean: Clean) -> None:
    """What `unreel generate rig` does: a mesh file in, the same mesh with a skin out."""
    mesh = load_mesh(glb_bytes(arm.mesh), ".glb")
    data = glb_bytes(Rig(mesh, arm.skeleton, arm.joints, arm.weights))
    clean(data)
    again = read_rig(data)
    same_rig(replace(arm, clips=()), again)
    assert [image.data for image in again.mesh.looks.images] == [image.data for image in arm.mesh.looks.images]


def test_a_clip_is_added_to_a_rigged_glb(arm: Rig, clean: Clean) -> None:
    clip = replace(arm.clips[0], name="back", rotations=arm.clips[0].rotations[::-1], fps=24)
    data = add_clips(glb_bytes(arm), [clip])
    clean(data)
    rig = read_rig(data, fps=24)
    assert [(c.name, c.seconds) for c in rig.clips] == [("bend", 1), ("back", 1.25)]
    assert np.allclose(rig.clips[1].rotations, clip.rotations, atol=1e-6)
    assert [clip.name for clip in read_rig(add_clips(data, [], keep=False)).clips] == []


def test_scaled_moving_and_still_clips(arm: Rig, clean: Clean) -> None:
    shift = np.tile(arm.skeleton.translations, (3, 1, 1))
    still = np.tile(arm.skeleton.rotations, (3, 1, 1))
    scales = np.ones((3, 2, 3), np.float32)
    scales[1, 1] = (1, 2, 1)
    walk = shift.copy()
    walk[:, 0, 2] = (0, 1, 2)
    clips = (
        Clip("grow", 10, shift, still, scales),
        Clip("walk", 10, walk, still),
        Clip("pose", 10, shift[:1], still[:1]),
    )
    data = glb_bytes(replace(arm, clips=clips))
    clean(data)
    grow, moved, pose = read_rig(data, fps=10).clips
    assert grow.scales is not None
    assert np.allclose(grow.scales[1, 1], [1, 2, 1], atol=1e-5)
    assert np.allclose(moved.translations[:, 0, 2], [0, 1, 2])
    assert pose.frames == 1


def test_others_read_it(arm: Rig) -> None:
    data = glb_bytes(arm)
    scene = trimesh.load_scene(io.BytesIO(data), file_type="glb", process=False)
    shape = scene.to_geometry()
    assert len(shape.vertices) == len(arm.mesh.positions)
    assert np.allclose(shape.bounds, arm.mesh.bounds, atol=1e-5)
    assert all(hasattr(part.visual, "material") for part in scene.geometry.values())
    other = pygltflib.GLTF2.load_from_bytes(data)
    accessor = other.accessors[other.skins[0].inverseBindMatrices]
    view = other.bufferViews[accessor.bufferView]
    start = view.byteOffset + accessor.byteOffset
    binds = np.frombuffer(other.binary_blob()[start : start + 128], np.float32).reshape(2, 4, 4)
    assert np.allclose(binds.transpose(0, 2, 1), arm.skeleton.inverse_binds)
    assert len(other.animations[0].channels) == 3


def test_many_joints_and_vertices(arm: Rig, clean: Clean) -> None:
    from unreel.modalities.skeleton.skeleton import Skeleton

    count = 300
    chain = Skeleton.from_positions(
        [f"j{i}" for i in range(count)], np.arange(-1, count - 1), np.linspace([0, 0, 0], [0, 2, 0], count)
    )
    part = arm.mesh.parts[1]
    copies = 700
    grid = replace(
        part,
        positions=np.concatenate([part.positions + np.float32(i) for i in range(copies)]),
        faces=np.concatenate([part.faces + i * len(part.positions) for i in range(copies)]),
        colours=None,
    )
    vertices = len(grid.positions)
    joints = np.zeros((vertices, 4), np.int64)
    joints[:, 0] = np.arange(vertices) % count
    weights = np.eye(4, dtype=np.float32)[np.zeros(vertices, np.int64)]
    rig = Rig(Mesh((grid,), arm.mesh.looks), chain, joints, weights)
    assert vertices > 65535 // 2
    data = glb_bytes(rig)
    clean(data)
    assert read_rig(data).joints.max() == count - 1


def test_writing_where_nothing_can_be_written(arm: Rig, tmp_path: Path) -> None:
    write_glb(arm, tmp_path / "arm.glb")
    assert load_document(tmp_path / "arm.glb").json["asset"]["generator"] == "unreel"
    with pytest.raises(UserError, match="cannot write"):
        write_glb(arm, tmp_path / "no" / "arm.glb")


def test_extensions_are_declared(arm: Rig, clean: Clean) -> None:
    shiny = arm.mesh.looks.materials[1] | {"extensions": {"KHR_materials_specular": {"specularFactor": 0.5}}}
    looks = replace(arm.mesh.looks, materials=(arm.mesh.looks.materials[0], shiny))
    data = glb_bytes(replace(arm, mesh=replace(arm.mesh, looks=looks)))
    clean(data)
    assert load_document(data).json["extensionsUsed"] == ["KHR_materials_specular"]
    assert json.dumps(read_rig(data).mesh.looks.materials[1]["extensions"]) == json.dumps(shiny["extensions"])
