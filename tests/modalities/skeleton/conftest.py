"""Tiny rigs made in code, and the Khronos glTF validator."""

import io
import json
import os
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unreel.modalities.skeleton.clips import Clip
from unreel.modalities.skeleton.materials import Looks, Picture, plain_material
from unreel.modalities.skeleton.mesh import Mesh, Part
from unreel.modalities.skeleton.rig import Rig
from unreel.modalities.skeleton.rotations import from_axis_angle
from unreel.modalities.skeleton.skeleton import Skeleton

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / ".node" / "node_modules" / "gltf-validator"
SCRIPT = (
    "const v = require(process.argv[1]), fs = require('fs');"
    "v.validateBytes(new Uint8Array(fs.readFileSync(0))).then(r => console.log(JSON.stringify(r.issues)));"
)


@pytest.fixture
def validate() -> Callable[[bytes], dict[str, Any]]:
    """The issues that gltf-validator finds in a GLB. Skips without it, but not in CI."""
    if shutil.which("node") is None or not PACKAGE.is_dir():
        assert not os.environ.get("CI"), "gltf-validator is missing in CI: `make system` installs it"
        pytest.skip("gltf-validator is not installed; `make system` installs it")

    def run(data: bytes) -> dict[str, Any]:
        result = subprocess.run(["node", "-e", SCRIPT, str(PACKAGE)], input=data, capture_output=True, check=True)
        issues: dict[str, Any] = json.loads(result.stdout)
        return issues

    return run


@pytest.fixture
def clean(validate: Callable[[bytes], dict[str, Any]]) -> Callable[[bytes], None]:
    """Asserts that the validator finds neither errors nor warnings."""

    def check(data: bytes) -> None:
        issues = validate(data)
        assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"]

    return check


def tube(rings: int = 9, sides: int = 8, height: float = 2.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices (N, 3), faces (F, 3) and texture coordinates (N, 2) of an open tube up the y axis from 0, radius 0.2."""
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    level = np.linspace(0, height, rings)
    ring = np.stack([0.2 * np.cos(angle), np.zeros(sides), 0.2 * np.sin(angle)], 1)
    points = (ring[None] + np.asarray([0, 1, 0]) * level[:, None, None]).reshape(-1, 3).astype(np.float32)
    uv = np.stack(np.meshgrid(np.arange(sides) / sides, level / height), -1).reshape(-1, 2).astype(np.float32)
    faces = []
    for r in range(rings - 1):
        for s in range(sides):
            a, b = r * sides + s, r * sides + (s + 1) % sides
            faces += [[a, a + sides, b], [b, a + sides, b + sides]]
    return points, np.asarray(faces), uv


def png(colour: tuple[int, int, int]) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def arm() -> Rig:
    """A tube of two metres with joints at its foot and its middle, the upper half following the upper joint.

    The lower part is textured (with a normal map), the upper one plain and tinted per vertex; the clip "bend" turns the
    upper joint by 90 degrees around x, towards +z, in one second.
    """
    points, faces, uv = tube()
    skeleton = Skeleton.from_positions(["lower", "upper"], np.asarray([-1, 0]), np.asarray([[0, 0, 0], [0, 1, 0]]))
    textured = plain_material((1, 1, 1, 1), "skin", texture=0) | {"normalTexture": {"index": 1, "scale": 0.5}}
    looks = Looks(
        (textured, plain_material((0.2, 0.4, 0.8, 1), "cloth")),
        ({"source": 0, "sampler": 0}, {"source": 1}),
        ({"wrapS": 33071},),
        (Picture(png((200, 30, 30)), "image/png", "red"), Picture(png((128, 128, 255)), "image/png")),
    )
    below = (points[faces][..., 1] <= 1.01).all(1)
    tint = np.tile(np.asarray([1, 0.5, 0.25, 1], np.float32), (len(points), 1))
    lower = Part(points, faces[below], uvs=(uv,), material=0, name="lower half")
    upper = Part(points, faces[~below], uvs=(), colours=tint, material=1, name="upper half")
    mesh = Mesh((lower, upper), looks)
    share = np.clip((mesh.positions[:, 1] - 0.75) / 0.5, 0, 1)
    joints = np.where(np.stack([share < 1, share > 0], 1), [[0, 1]], 0)
    swap = share > 0.5
    joints[swap] = joints[swap, ::-1]
    weights = np.where(swap, share, 1 - share)
    four = np.zeros((len(share), 4), np.float32)
    four[:, 0], four[:, 1] = weights, 1 - weights
    table = np.zeros((len(share), 4), np.int64)
    table[:, :2] = np.where(four[:, :2] > 0, joints, 0)
    turn = np.stack([from_axis_angle(np.asarray([1.0, 0, 0]), np.linspace(0, np.pi / 2, 31))], 1)
    still = np.broadcast_to([0, 0, 0, 1], turn.shape)
    bend = Clip("bend", 30, np.tile(skeleton.translations, (31, 1, 1)), np.concatenate([still, turn], 1))
    return Rig(mesh, skeleton, table, four, (bend,))


class Raw:
    """Builds glTF files by hand, for what our own writer would never write."""

    def __init__(self) -> None:
        self.json: dict[str, Any] = {"asset": {"version": "2.0"}, "bufferViews": [], "accessors": []}
        self.data = b""

    def view(self, data: bytes, **more: Any) -> int:
        self.data += b"\0" * (-len(self.data) % 4)
        entry = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(data), **more}
        self.json["bufferViews"].append(entry)
        self.data += data
        return len(self.json["bufferViews"]) - 1

    def accessor(self, values: Any, kind: str, dtype: Any = np.float32, **more: Any) -> int:
        array = np.asarray(values, dtype)
        codes = {np.uint8: 5121, np.uint16: 5123, np.uint32: 5125, np.float32: 5126, np.int16: 5122}
        entry = {"bufferView": self.view(array.tobytes()), "componentType": codes[dtype], "type": kind}
        self.json["accessors"].append(entry | {"count": len(array)} | more)
        return len(self.json["accessors"]) - 1

    def glb(self) -> bytes:
        self.json["buffers"] = [{"byteLength": len(self.data)}]
        text = json.dumps(self.json).encode()
        text += b" " * (-len(text) % 4)
        data = self.data + b"\0" * (-len(self.data) % 4)
        head = struct.pack("<4sIII4s", b"glTF", 2, 28 + len(text) + len(data), len(text), b"JSON")
        return head + text + struct.pack("<I4s", len(data), b"BIN\0") + data

    def skinned(self, *, nodes: list[dict[str, Any]], joints: list[int], binds: Any = None, **attributes: int) -> bytes:
        """A file with one triangle skinned to some of ``nodes``; node 0 shows it."""
        if "POSITION" not in attributes:
            attributes["POSITION"] = self.accessor([[0, 0, 0], [1, 0, 0], [0, 2, 0]], "VEC3")
        if "JOINTS_0" not in attributes:
            attributes["JOINTS_0"] = self.accessor([[0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]], "VEC4", np.uint8)
        if "WEIGHTS_0" not in attributes:
            attributes["WEIGHTS_0"] = self.accessor([[1, 0, 0, 0]] * 3, "VEC4")
        skin: dict[str, Any] = {"joints": joints}
        if binds is not None:
            flat = np.asarray(binds, np.float32).transpose(0, 2, 1).reshape(-1, 16)
            skin["inverseBindMatrices"] = self.accessor(flat, "MAT4")
        children = {child for node in nodes for child in node.get("children", ())}
        self.json |= {
            "meshes": [{"primitives": [{"attributes": attributes}]}],
            "skins": [skin],
            "nodes": [{"mesh": 0, "skin": 0, **nodes[0]}, *nodes[1:]],
            "scenes": [{"nodes": [i for i in range(len(nodes)) if i not in children]}],
        }
        return self.glb()


@pytest.fixture
def raw() -> Raw:
    return Raw()
