"""From joints to rigs, films and files."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trimesh

from tests.rigs import creature, rigged_creature, tiny_rig
from unreel.engine.errors import UserError
from unreel.engine.model import Model
from unreel.modalities.rig import assemble as module
from unreel.modalities.rig.assemble import assemble, lifted, skeleton_of, skinned, weigh
from unreel.modalities.rig.joint import Joint
from unreel.modalities.rig.maker import write
from unreel.modalities.rig.preview import swayed, turntable
from unreel.modalities.rig.subject import subject_of
from unreel.modalities.skeleton.glb import glb_bytes
from unreel.modalities.skeleton.gltf import read_rig


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny_rig()


def made(model: Model) -> list[Joint]:
    session = model.session(seed=2)
    session.send("mesh", creature())
    return [event.payload for event in session.stream()]


def test_a_skeleton_stands_where_the_joints_are(model: Model) -> None:
    joints = made(model)
    skeleton = skeleton_of(joints)
    assert np.allclose(skeleton.positions, [joint.position for joint in joints], atol=1e-5)
    assert skeleton.parents.tolist() == [joint.parent for joint in joints]
    assert len(skeleton_of(joints[:3])) == 3
    with pytest.raises(UserError, match="one joint or more"):
        skeleton_of([])


def test_a_rig_is_the_whole_mesh_with_its_looks(model: Model, clean: Callable[[bytes], None]) -> None:
    mesh = creature()
    rig = assemble(model, mesh, made(model))
    assert np.array_equal(rig.mesh.positions, mesh.positions)
    assert np.allclose(rig.weights.sum(1), 1)
    data = glb_bytes(rig)
    clean(data)
    back = read_rig(data)
    assert np.allclose(back.mesh.positions, mesh.positions, atol=1e-6)
    assert [material["name"] for material in back.mesh.looks.materials] == ["hide", "hoof"]
    assert back.skeleton.names == rig.skeleton.names


def test_trimesh_reads_the_same_mesh(model: Model) -> None:
    mesh = creature()
    scene = trimesh.load_scene(io.BytesIO(glb_bytes(assemble(model, mesh, made(model)))), file_type="glb")
    found = scene.to_geometry()
    assert len(found.faces) == len(mesh.faces)
    assert np.allclose(found.bounds, mesh.bounds, atol=1e-6)
    assert found.area == pytest.approx(trimesh.Trimesh(mesh.positions, mesh.faces).area, rel=1e-5)


def test_a_vertex_follows_its_joint(model: Model) -> None:
    rig = skinned(model, creature(), rigged_creature().skeleton)
    world = rig.skeleton.globals.copy()
    heaviest = int(np.bincount(rig.joints.ravel(), rig.weights.ravel()).argmax())
    world[heaviest, :3, 3] += (0, 0, 0.5)
    shift = rig.posed(world).positions - rig.mesh.positions
    share = (rig.weights * (rig.joints == heaviest)).sum(1)
    assert np.allclose(shift[:, 2], 0.5 * share, atol=1e-5)
    assert share.max() > 0.5


def test_weights_of_points_add_up(model: Model) -> None:
    subject, skeleton = subject_of(creature()), rigged_creature().skeleton
    weights = weigh(model, subject, subject.surface[:30], subject.box.to_unit(skeleton.positions), skeleton.parents)
    assert weights.shape == (30, 10)
    assert np.allclose(weights.sum(1), 1, atol=1e-5)


def test_many_vertices_share_what_their_cell_has(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    points = rng.random((200, 3)).astype(np.float32) - 0.5
    weights = np.exp(-8 * np.linalg.norm(points[:, None] - points[None, :5], axis=-1))
    weights /= weights.sum(1, keepdims=True)
    vertices = rng.random((3000, 3)).astype(np.float32) - 0.5
    exact = lifted(vertices, points, weights)
    monkeypatch.setattr(module, "MANY", 100)
    coarse = lifted(vertices, points, weights)
    table = [np.zeros((3000, 5)) for _ in range(2)]
    for dense, (joints, shares) in zip(table, (exact, coarse), strict=True):
        np.add.at(dense, (np.arange(3000)[:, None], joints), shares)
    assert np.abs(table[0] - table[1]).mean() < 0.01


def test_a_film_goes_once_around_and_shows_bones() -> None:
    rig = rigged_creature()
    pictures = list(turntable(rig, fps=1, size=32))
    assert [picture.shape for picture in pictures] == [(32, 32, 3)] * 4
    assert not np.array_equal(pictures[0], pictures[1])
    world = swayed(rig.skeleton, 0.0)
    assert np.allclose(world[0], rig.skeleton.globals[0])
    bones = [np.linalg.norm(pose[1:, :3, 3] - pose[rig.skeleton.parents[1:], :3, 3], axis=1)
             for pose in (world, rig.skeleton.globals)]  # fmt: skip
    assert np.allclose(*bones, atol=1e-5)


def test_every_kind_of_file(tmp_path: Path) -> None:
    for name in ("a.glb", "a.bvh", "a.npz", "a.gif"):
        write(rigged_creature(), tmp_path / name, fps=1)
        assert (tmp_path / name).stat().st_size > 100
    with np.load(tmp_path / "a.npz") as content:
        assert content["names"].tolist() == list(rigged_creature().skeleton.names)
