"""Rigged files as they come: every way of storing weights, binds, parents and keys ends in one normal form."""

import base64
import json
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unreel.engine.errors import UserError
from unreel.modalities.skeleton.document import load_document
from unreel.modalities.skeleton.glb import glb_bytes
from unreel.modalities.skeleton.gltf import is_rigged, read_rig
from unreel.modalities.skeleton.rig import Rig
from unreel.modalities.skeleton.skinning import skin, skin_matrices, top_to_dense

BONES = [{}, {"name": "hip", "children": [2]}, {"name": "knee", "translation": [0, 1, 0]}]


def test_a_plain_file(raw: Any) -> None:
    binds = np.stack([np.eye(4)] * 2)
    binds[1, 1, 3] = -1
    rig = read_rig(raw.skinned(nodes=BONES, joints=[1, 2], binds=binds))
    assert rig.skeleton.names == ("hip", "knee")
    assert rig.skeleton.positions.tolist() == [[0, 0, 0], [0, 1, 0]]
    assert rig.mesh.positions.tolist() == [[0, 0, 0], [1, 0, 0], [0, 2, 0]]
    assert rig.joints[:, 0].tolist() == [0, 0, 1]
    assert rig.notes == ()


def test_the_order_of_the_skin_does_not_matter(raw: Any) -> None:
    binds = np.stack([np.eye(4)] * 2)
    binds[0, 1, 3] = -1
    rig = read_rig(raw.skinned(nodes=BONES, joints=[2, 1], binds=binds))
    assert rig.skeleton.names == ("hip", "knee")
    assert rig.joints[:, 0].tolist() == [1, 1, 0]


def test_scaled_and_turned_parents_are_worked_in(raw: Any) -> None:
    """An armature turned by -90 degrees around x and 100 times as large, in centimetres below."""
    armature = {
        "name": "armature",
        "rotation": [-(0.5**0.5), 0, 0, 0.5**0.5],
        "scale": [100, 100, 100],
        "children": [2],
    }
    nodes = [{}, armature, {"name": "hip", "children": [3]}, {"name": "knee", "translation": [0, 0, 0.01]}]
    file = load_document(raw.skinned(nodes=nodes, joints=[2, 3]))
    rest = file.globals[[2, 3]]
    binds = np.linalg.inv(rest)
    raw.data, raw.json["bufferViews"], raw.json["accessors"] = b"", [], []
    rig = read_rig(raw.skinned(nodes=nodes, joints=[2, 3], binds=binds))
    assert np.allclose(rig.skeleton.positions, [[0, 0, 0], [0, 1, 0]], atol=1e-5)
    assert np.allclose(np.linalg.norm(rig.skeleton.globals[:, :3, 0], axis=1), 1, atol=1e-5)
    assert np.allclose(rig.mesh.positions, [[0, 0, 0], [1, 0, 0], [0, 2, 0]], atol=1e-5)


def test_several_roots_get_a_common_one(raw: Any) -> None:
    apart = [{}, {"name": "a"}, {"name": "b", "translation": [0, 1, 0]}]
    rig = read_rig(raw.skinned(nodes=apart, joints=[1, 2], binds=np.stack([np.eye(4), np.eye(4)])))
    assert rig.skeleton.names == ("root", "a", "b")
    shared = [{}, {"name": "a"}, {"name": "b"}, {"name": "rig", "translation": [0, 5, 0], "children": [1, 2]}]
    rig = read_rig(type(raw)().skinned(nodes=shared, joints=[1, 2]))
    assert rig.skeleton.names == ("rig", "a", "b")
    assert rig.skeleton.parents.tolist() == [-1, 0, 0]


def test_a_wrong_skeleton_entry_is_ignored(raw: Any) -> None:
    data = raw.skinned(nodes=BONES, joints=[1, 2])
    raw.json["skins"][0]["skeleton"] = 2
    assert read_rig(raw.glb()).skeleton.names == read_rig(data).skeleton.names


def test_nodes_between_joints_are_passed_over(raw: Any) -> None:
    nodes = [{}, {"name": "hip", "children": [2]}, {"translation": [0, 1, 0], "children": [3]}, {"name": "knee"}]
    rig = read_rig(raw.skinned(nodes=nodes, joints=[1, 3]))
    assert rig.skeleton.parents.tolist() == [-1, 0]


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_normalised_weights_and_a_second_set(raw: Any, kind: Any) -> None:
    top = np.iinfo(kind).max
    chain: list[dict[str, Any]] = [{}]
    chain += [{"name": f"j{i}", "children": [i + 2], "translation": [0, 1, 0]} for i in range(5)] + [{"name": "j5"}]
    four = raw.accessor(np.asarray([[0.25, 0.25, 0.05, 0.1]] * 3) * top, "VEC4", kind, normalized=True)
    more = raw.accessor(np.asarray([[0.3, 0.05, 0, 0]] * 3) * top, "VEC4", kind, normalized=True)
    rig = read_rig(
        raw.skinned(
            nodes=chain,
            joints=[1, 2, 3, 4, 5, 6],
            JOINTS_0=raw.accessor([[0, 1, 2, 3]] * 3, "VEC4", kind),
            WEIGHTS_0=four,
            JOINTS_1=raw.accessor([[4, 5, 0, 0]] * 3, "VEC4", kind),
            WEIGHTS_1=more,
        )
    )
    dense = top_to_dense(rig.joints, rig.weights, 6)
    assert np.allclose(dense[0], np.asarray([0.25, 0.25, 0, 0.1, 0.3, 0]) / 0.9, atol=0.01)


def test_weights_that_do_not_add_up(raw: Any) -> None:
    weights = raw.accessor([[0.5, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]], "VEC4")
    rig = read_rig(raw.skinned(nodes=BONES, joints=[1, 2], WEIGHTS_0=weights))
    assert rig.weights[:, 0].tolist() == [1, 1, 1]
    assert rig.weightless == 1
    assert any("did not add up" in note for note in rig.notes)
    assert any("1 of 3 vertices have no weight" in note for note in rig.notes)


def test_sparse_and_interleaved_accessors(raw: Any) -> None:
    rows = np.zeros(3, np.dtype([("p", "<f4", 3), ("n", "<f4", 3), ("pad", "<u4")]))
    rows["p"], rows["n"] = [[0, 0, 0], [1, 0, 0], [0, 2, 0]], [0, 0, 1]
    view = raw.view(rows.tobytes(), byteStride=28)
    entry = {"bufferView": view, "componentType": 5126, "type": "VEC3", "count": 3}
    raw.json["accessors"].append({**entry, "byteOffset": 12})
    normal = len(raw.json["accessors"]) - 1
    change = {
        "count": 1,
        "indices": {"bufferView": raw.view(np.asarray([1], np.uint16).tobytes()), "componentType": 5123},
        "values": {"bufferView": raw.view(np.asarray([[7, 8, 9]], np.float32).tobytes())},
    }
    raw.json["accessors"].append({**entry, "sparse": change})
    rig = read_rig(raw.skinned(nodes=BONES, joints=[1, 2], POSITION=len(raw.json["accessors"]) - 1, NORMAL=normal))
    assert rig.mesh.positions.tolist() == [[0, 0, 0], [7, 8, 9], [0, 2, 0]]
    assert rig.mesh.normals.tolist() == [[0, 0, 1]] * 3


def test_data_uris_and_files_beside(arm: Rig, tmp_path: Path) -> None:
    document = load_document(glb_bytes(arm))
    content = dict(document.json)
    (tmp_path / "arm data.bin").write_bytes(document.buffers[0])
    content["buffers"] = [{"byteLength": len(document.buffers[0]), "uri": "arm%20data.bin"}]
    (tmp_path / "arm.gltf").write_text(json.dumps(content))
    inline = "data:application/octet-stream;base64," + base64.b64encode(document.buffers[0]).decode()
    content["buffers"] = [{"byteLength": len(document.buffers[0]), "uri": inline}]
    (tmp_path / "inline.gltf").write_text(json.dumps(content))
    for name in ("arm.gltf", "inline.gltf"):
        rig = read_rig(tmp_path / name)
        assert np.array_equal(rig.mesh.positions, arm.mesh.positions)
        assert [image.data for image in rig.mesh.looks.images] == [image.data for image in arm.mesh.looks.images]
    content["buffers"] = [{"byteLength": 4, "uri": "../secret.bin"}]
    (tmp_path / "sly.gltf").write_text(json.dumps(content))
    with pytest.raises(UserError, match="points out of its folder"):
        read_rig(tmp_path / "sly.gltf")


def test_parts_on_joints_become_skinned(raw: Any) -> None:
    """A sword: a mesh without a skin whose node hangs on the knee; and a stone that hangs on nothing."""
    nodes = [
        *BONES[:2],
        {**BONES[2], "children": [3]},
        {"mesh": 1, "translation": [0, 0, 1]},
        {"mesh": 1, "name": "stone"},
    ]
    raw.skinned(nodes=nodes, joints=[1, 2], binds=np.stack([np.eye(4), np.linalg.inv(move(0, 1, 0))]))
    raw.json["meshes"].append({"primitives": [{"attributes": {"POSITION": 0}}]})
    rig = read_rig(raw.glb())
    assert len(rig.mesh.parts) == 3
    assert [part.name for part in rig.mesh.parts[1:]] == ["stone", "mesh 1"]
    assert rig.mesh.parts[2].positions.tolist() == [[0, 1, 1], [1, 1, 1], [0, 3, 1]]
    assert rig.joints[3:6, 0].tolist() == [0, 0, 0]
    assert rig.joints[6:, 0].tolist() == [1, 1, 1]
    assert any("stone: hangs on no joint" in note for note in rig.notes)


def move(x: float, y: float, z: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = x, y, z
    return matrix


def test_two_skins_bound_in_different_poses(raw: Any) -> None:
    binds = np.stack([np.eye(4), np.linalg.inv(move(0, 1, 0))])
    raw.skinned(nodes=[*BONES, {"mesh": 0, "skin": 1}], joints=[1, 2], binds=binds)
    flat = np.stack([np.eye(4), np.linalg.inv(move(0, 1.5, 0))]).astype(np.float32).transpose(0, 2, 1).reshape(2, 16)
    raw.json["skins"].append({"joints": [1, 2], "inverseBindMatrices": raw.accessor(flat, "MAT4")})
    rig = read_rig(raw.glb())
    assert any("bound in another pose" in note for note in rig.notes)
    assert np.allclose(rig.mesh.parts[0].positions[2], [0, 2, 0])
    assert np.allclose(rig.mesh.parts[1].positions[2], [0, 1.5, 0], atol=1e-6)


def test_what_a_viewer_shows_stays_exact(arm: Rig) -> None:
    """Animated, under a scaled armature, bound in another pose than it rests in: skinned by hand and by the rig."""
    document = load_document(glb_bytes(replace(arm, clips=arm.clips)))
    content = document.json
    joints = content["skins"][0]["joints"]
    content["nodes"].append({"scale": [2, 2, 2], "rotation": [0, 0.6, 0, 0.8], "children": [joints[0]]})
    content["scenes"][0]["nodes"] = [0, 1, len(content["nodes"]) - 1]
    content["nodes"][joints[1]]["rotation"] = [0.3, 0, 0, 0.91**0.5]
    rig = read_rig(document)
    assert any("opens in another pose" in note for note in rig.notes)
    parent = load_document(glb_bytes(arm)).matrix(0) @ np.eye(4)
    parent[:3, :3] = 2 * np.asarray([[1 - 2 * 0.36, 0, 0.96], [0, 1, 0], [-0.96, 0, 1 - 2 * 0.36]])
    for frame in (0, 17, 30):
        expected = skin(
            arm.mesh.positions,
            arm.joints,
            arm.weights,
            skin_matrices(parent @ arm.clips[0].globals(arm.skeleton)[frame], arm.skeleton.inverse_binds),
        )
        assert np.allclose(rig.posed(rig.clips[0].globals(rig.skeleton)[frame]).positions, expected, atol=1e-4)


def test_morph_targets_points_and_lines_are_noted(raw: Any) -> None:
    raw.skinned(nodes=BONES, joints=[1, 2])
    primitives = raw.json["meshes"][0]["primitives"]
    primitives[0]["targets"] = [{"POSITION": 0}]
    primitives.append({"attributes": {"POSITION": 0}, "mode": 1})
    rig = read_rig(raw.glb())
    assert len(rig.mesh.parts) == 1
    assert any("morph" in note for note in rig.notes)
    assert any("points or lines" in note for note in rig.notes)


def test_strips_and_fans_are_unrolled(raw: Any) -> None:
    square = raw.accessor([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], "VEC3")
    extra = {
        "JOINTS_0": raw.accessor([[0] * 4] * 4, "VEC4", np.uint8),
        "WEIGHTS_0": raw.accessor([[1, 0, 0, 0]] * 4, "VEC4"),
    }
    raw.skinned(nodes=BONES, joints=[1, 2], POSITION=square, **extra)
    primitive = raw.json["meshes"][0]["primitives"][0]
    primitive["mode"] = 5
    assert read_rig(raw.glb()).mesh.faces.tolist() == [[0, 1, 2], [2, 1, 3]]
    primitive["mode"] = 6
    assert read_rig(raw.glb()).mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3]]


def test_nan_vertices_leave_with_their_weights(raw: Any) -> None:
    nan = float("nan")
    points = raw.accessor([[nan, 0, 0], [0, 0, 0], [1, 0, 0], [0, 2, 0]], "VEC3")
    joints = raw.accessor([[1, 0, 0, 0]] + [[0, 0, 0, 0]] * 2 + [[1, 0, 0, 0]], "VEC4", np.uint8)
    weights = raw.accessor([[1, 0, 0, 0]] * 4, "VEC4")
    raw.skinned(nodes=BONES, joints=[1, 2], POSITION=points, JOINTS_0=joints, WEIGHTS_0=weights)
    raw.json["meshes"][0]["primitives"][0]["indices"] = raw.accessor([0, 1, 2, 1, 2, 3], "SCALAR", np.uint16)
    rig = read_rig(raw.glb())
    assert rig.mesh.faces.tolist() == [[0, 1, 2]]
    assert rig.joints[:, 0].tolist() == [0, 0, 1]


def test_squashed_joints(raw: Any) -> None:
    nodes = [*BONES[:2], {**BONES[2], "scale": [0, 0, 0]}]
    rig = read_rig(raw.skinned(nodes=nodes, joints=[1, 2]))
    assert any("squashed" in note for note in rig.notes)
    with pytest.raises(UserError, match="all squashed flat"):
        read_rig(type(raw)().skinned(nodes=[{}, {"scale": [0, 0, 0], "children": [2]}, {}], joints=[1, 2]))


def test_files_that_are_no_rigs(raw: Any, arm: Rig, tmp_path: Path) -> None:
    data = glb_bytes(arm)
    document = load_document(data)
    assert is_rigged(document)
    cases = {
        "there is no file": tmp_path / "nothing.glb",
        "cut short": data[:-100],
        "no glTF file": b"hello",
        "asset.version": b"{}",
        "Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
    }
    for message, source in cases.items():
        with pytest.raises(UserError, match=message) as caught:
            read_rig(source)
        assert "\n" not in str(caught.value)
    packed = replace(document, json=document.json | {"extensionsRequired": ["KHR_draco_mesh_compression"]})
    with pytest.raises(UserError, match="packed with Draco"):
        load_document(json.dumps(packed.json).encode())
    nodes = [{"mesh": 0, "skin": 9}]
    raw.skinned(nodes=BONES, joints=[1, 2])
    raw.json["nodes"][0] = nodes[0]
    with pytest.raises(UserError, match=r"skins\[9\]"):
        read_rig(raw.glb())


def test_damaged_accessors_and_circles(raw: Any) -> None:
    raw.skinned(nodes=BONES, joints=[1, 2])
    raw.json["accessors"][0]["count"] = 999
    with pytest.raises(UserError, match="reads behind"):
        read_rig(raw.glb())
    other = type(raw)()
    other.skinned(nodes=[{}, {"children": [2]}, {"children": [1]}], joints=[1, 2])
    with pytest.raises(UserError, match="circle"):
        read_rig(other.glb())
    third = type(raw)()
    third.skinned(nodes=BONES, joints=[1, 2], JOINTS_0=third.accessor([[5, 0, 0, 0]] * 3, "VEC4", np.uint8))
    with pytest.raises(UserError, match="weights for joints that its skin has not"):
        read_rig(third.glb())


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(path for key, below in inner for path in paths(below, (*here, key)))]


@pytest.mark.parametrize("wrong", [None, -1, 1e30, "x", [], {}])
def test_a_wrong_entry_anywhere_is_one_line_or_harmless(arm: Rig, wrong: Any) -> None:
    document = load_document(glb_bytes(arm))
    text = json.dumps(document.json)
    read, refused = 0, []
    for path in paths(document.json)[1::3]:
        content = json.loads(text)
        holder = content
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = wrong
        try:
            read_rig(glb_of(content, document.buffers[0]))
            read += 1
        except UserError as error:
            refused.append(str(error))
    assert read > 0
    assert refused
    assert not [error for error in refused if "\n" in error or len(error) > 300]


def glb_of(content: dict[str, Any], data: bytes) -> bytes:
    text = json.dumps(content).encode()
    return (
        struct.pack("<4sIII4s", b"glTF", 2, 0, len(text), b"JSON")
        + text
        + struct.pack("<I4s", len(data), b"BIN\0")
        + data
    )
