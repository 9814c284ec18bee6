"""streaming/meshes.py: meshes and rigs as what a session is about, bounded, one clear line for what cannot be used."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import trimesh

from tests.modalities.skeleton.conftest import Raw
from tests.motion import tiny_motion
from tests.rigs import creature, rigged_creature, tiny_rig
from tests.streaming.bodies import send, sent, sideways
from tests.streaming.live import LiveServer
from unreel.engine.errors import UserError
from unreel.modalities.skeleton.glb import glb_bytes
from unreel.streaming import meshes
from unreel.streaming.present import Shape
from unreel.streaming.present.example import mannequin


@pytest.fixture
def raw() -> Raw:
    return Raw()


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with LiveServer({"rig": tiny_rig(), "motion": tiny_motion()}, view_bytes=400_000) as live:
        yield live


def kept(server: LiveServer, id: str, model: str) -> Shape:
    value = server.hub.views.get(id, model)
    assert value is not None
    shape: Shape = value["shape"]
    return shape


@pytest.mark.parametrize("kind", ["glb", "obj", "ply", "stl"])
def test_a_mesh_of_any_kind_is_kept_for_a_session(server: LiveServer, kind: str) -> None:
    mesh = creature()
    data = trimesh.Trimesh(mesh.positions, mesh.faces, process=False).export(file_type=kind)
    answer = send(server, data.encode() if isinstance(data, str) else data, f"../../etc/C.{kind.upper()}")
    assert answer.status_code == 201, answer.text
    said = answer.json()
    assert (said["model"], said["faces"], said["object"]) == ("rig", 72, "mesh"), "the first model that takes one"
    shape = kept(server, said["id"], "rig")
    assert np.allclose(shape.content.bounds, mesh.bounds, atol=1e-5)
    assert [kind for kind, _ in shape.controls] == ["mesh"]
    assert trimesh.load_scene(trimesh.util.wrap_as_stream(shape.glb), file_type="glb").bounds is not None


def test_a_rig_is_kept_for_a_motion_and_replaced_for_a_rig(server: LiveServer) -> None:
    data = glb_bytes(sideways())
    said = send(server, data, model="motion").json()
    assert said["joints"] == 22
    assert dict(kept(server, said["id"], "motion").controls).keys() == {"body"}
    refused = send(server, data, model="rig")
    assert refused.status_code == 400
    assert "rigged already, with 22 joints: send rig=replace" in refused.json()["error"]["message"]
    assert sent(server, data, model="rig", rig="replace")
    with pytest.raises(UserError, match="no mesh with this name"), server.connect(model="rig", mesh=said["id"]):
        pass


def test_what_cannot_be_used_is_refused_in_one_line(server: LiveServer, raw: Raw) -> None:
    outside = json.dumps({"asset": {"version": "2.0"}, "buffers": [{"uri": "../../etc/passwd", "byteLength": 4}]})
    text = outside.encode() + b" " * (-len(outside) % 4)
    linked = b"glTF" + np.asarray([2, 20 + len(text), len(text)], "<u4").tobytes() + b"JSON" + text
    raw.json |= {"nodes": [{"children": [1, 1]}, {"children": [2, 2]}, {}], "scenes": [{"nodes": [0]}]}
    faults = [
        (send(server, None), 400, "a part called file"),
        (send(server, b"solid", "a.fbx"), 400, "glb|obj|ply|stl"),
        (send(server, b"", ""), 400, "file"),
        (send(server, b"not a mesh", "a.glb"), 400, "no glTF file"),
        (send(server, b"not a mesh", "a.obj"), 400, "the mesh"),
        (send(server, b"ply\nformat ascii 1.0\nelement vertex 99999999999\nend_header\n", "a.ply"), 400, "the mesh"),
        (send(server, b"\0" * 84, "a.stl"), 400, "the mesh"),
        (send(server, glb_bytes(creature())[:-40], "a.glb"), 400, "cut short"),
        (send(server, linked, "a.glb"), 400, "send a .glb, which holds everything"),
        (send(server, raw.glb(), "a.glb"), 400, "hangs on two others"),
        (send(server, glb_bytes(creature()), model="motion"), 400, "has no skin"),
        (send(server, glb_bytes(rigged_creature()), model="motion"), 400, "this skeleton is no body"),
        (send(server, b"solid", "a.stl", model="motion"), 400, "send a rigged .glb"),
        (send(server, glb_bytes(creature()), model="moon"), 400, "models here"),
        (send(server, glb_bytes(creature()), rig="keep"), 400, "rig is replace"),
        (send(server, bytes(500_000)), 413, "MB"),
    ]
    for answer, status, words in faults:
        error = answer.json()["error"]
        assert (answer.status_code, words in error["message"]) == (status, True), (words, error)
        assert "\n" not in error["message"]
        assert len(error["message"]) <= 300
        assert tempfile.gettempdir() not in error["message"], "no path of this machine"
    assert not list(Path(tempfile.gettempdir()).glob("unreel-view-*"))


def test_what_would_unpack_to_too_much_is_not_read(monkeypatch: pytest.MonkeyPatch, raw: Raw) -> None:
    vast = raw.json["accessors"]
    vast.append({"componentType": 5126, "type": "VEC3", "count": 90_000_000})
    raw.json |= {"meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}], "nodes": [{"mesh": 0}]}
    raw.json["scenes"] = [{"nodes": [0]}]
    with pytest.raises(UserError, match=r"90,000,000 numbers of 16,000,000"):
        meshes.read(tiny_rig(), raw.glb(), ".glb")
    monkeypatch.setattr(meshes, "JOINTS", 9)
    with pytest.raises(UserError, match="at most 9 joints"):
        meshes.read(tiny_rig(), glb_bytes(rigged_creature()), ".glb", "replace")


def test_who_takes_no_mesh_says_so(server: LiveServer, fake: object) -> None:
    with LiveServer({"fake": fake}) as other:  # type: ignore[dict-item]
        assert "takes no mesh" in send(other, glb_bytes(creature())).json()["error"]["message"]
        with pytest.raises(UserError, match="fake takes no mesh"), other.connect(mesh="example"):
            pass
        with pytest.raises(UserError, match="formats here: h264"), other.connect(format="rows"):
            pass
    with pytest.raises(UserError, match="motion has no example"), server.connect(model="motion", mesh="example"):
        pass


def test_the_example_is_one_closed_surface_of_a_body() -> None:
    mesh = mannequin()
    shape = trimesh.Trimesh(mesh.positions, mesh.faces, process=False)
    assert shape.is_winding_consistent
    assert shape.volume > 0.03, "outward, in cubic metres"
    assert shape.is_watertight
    assert 1.7 < np.ptp(mesh.bounds, 0)[1] < 1.9
    assert np.abs(mesh.bounds.sum(0)[0]) < 0.05, "as far to the left as to the right"
    assert len(mesh.faces) < 12_000
