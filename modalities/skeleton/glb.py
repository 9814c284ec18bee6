"""Rigs and meshes written as GLB files that the Khronos validator has nothing to say against.

What it asks for and what is done: one root joint in the scene beside the mesh node, which stands at the scene's root
without a transform; no ``skeleton`` entry that could be wrong; inverse binds for every joint, packed; unit normals and
quaternions; weights that add up to 1, joint 0 where there is none; key times that rise, with minimum and maximum.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from unreel.engine.errors import UserError
from unreel.modalities.skeleton.clips import Clip
from unreel.modalities.skeleton.gltf import read_rig
from unreel.modalities.skeleton.materials import Looks, bare_png, texture_infos
from unreel.modalities.skeleton.mesh import Mesh, Part, vertex_normals
from unreel.modalities.skeleton.rig import Rig
from unreel.modalities.skeleton.rotations import Floats
from unreel.modalities.skeleton.skeleton import Skeleton
from unreel.modalities.skeleton.tangents import vertex_tangents

GENERATOR = "unreel"
KINDS = {np.dtype(np.uint8): 5121, np.dtype(np.uint16): 5123, np.dtype(np.uint32): 5125, np.dtype(np.float32): 5126}
SHAPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}
VERTICES, INDICES = 34962, 34963  # what a buffer view is for


def write_glb(content: Rig | Mesh, path: str | os.PathLike[str]) -> None:
    """Write `glb_bytes` to a file; raises UserError when it cannot be written."""
    data = glb_bytes(content)
    try:
        Path(path).write_bytes(data)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; choose another place") from None


def glb_bytes(content: Rig | Mesh) -> bytes:
    """A GLB of a rig (mesh, looks, skeleton, skin and clips) or of a mesh alone."""
    writer = _Writer()
    rig = content if isinstance(content, Rig) else None
    mesh = content if isinstance(content, Mesh) else content.mesh
    writer.looks(mesh.looks)
    writer.mesh(mesh, rig)
    if rig is not None:
        writer.skeleton(rig.skeleton)
        for clip in rig.clips:
            writer.clip(clip, rig.skeleton)
    return writer.bytes()


def add_clips(source: str | os.PathLike[str] | bytes, clips: Sequence[Clip], *, keep: bool = True) -> bytes:
    """The GLB of a rigged file with more clips, made for the skeleton that `read_rig` reads from it.

    Its mesh, materials, textures and skin stay; with ``keep`` so do its own clips. Raises UserError as `read_rig` does.
    """
    rig = read_rig(source, clips=keep)
    return glb_bytes(replace(rig, clips=(*rig.clips, *clips)))


class _Writer:
    """Collects entries and binary data; nodes of meshes come first, then those of joints."""

    def __init__(self) -> None:
        self.json: dict[str, Any] = {"asset": {"version": "2.0", "generator": GENERATOR}}
        self.data = bytearray()
        self.first_joint = 0  # the node of joint 0

    def add(self, key: str, entry: dict[str, Any]) -> int:
        entries = self.json.setdefault(key, [])
        entries.append(entry)
        return len(entries) - 1

    def view(self, data: bytes, target: int | None = None) -> int:
        """A buffer view at the next multiple of four bytes."""
        self.data += b"\0" * (-len(self.data) % 4)
        entry: dict[str, Any] = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(data)}
        self.data += data
        return self.add("bufferViews", entry if target is None else entry | {"target": target})

    def accessor(self, values: np.ndarray, target: int | None = None, *, bounds: bool = False) -> int:
        """An accessor of (count,) or (count, width) numbers in a view of its own."""
        values = np.ascontiguousarray(values)
        width = 1 if values.ndim == 1 else values.shape[1]
        entry: dict[str, Any] = {
            "bufferView": self.view(values.tobytes(), target),
            "componentType": KINDS[values.dtype],
            "count": len(values),
            "type": SHAPES[width],
        }
        if bounds:
            table = values.reshape(len(values), width)
            entry |= {"min": table.min(0).tolist(), "max": table.max(0).tolist()}
        return self.add("accessors", entry)

    def looks(self, looks: Looks) -> None:
        """Materials and what they refer to, as they are; images into the binary part, their pixels byte for byte."""
        for image in looks.images:
            entry = {"bufferView": self.view(bare_png(image.data)), "mimeType": image.mime}
            self.add("images", entry | ({"name": image.name} if image.name else {}))
        for key, entries in (
            ("samplers", looks.samplers),
            ("textures", looks.textures),
            ("materials", looks.materials),
        ):
            if entries:
                self.json[key] = list(entries)
        used = sorted({name for entry in (*looks.materials, *looks.textures) for name in _extensions(entry)})
        if used:
            self.json["extensionsUsed"] = used

    def mesh(self, mesh: Mesh, rig: Rig | None) -> None:
        """A node for every run of parts with one name, each part a primitive of its mesh."""
        groups: list[tuple[str, list[dict[str, Any]]]] = []
        for part, start, stop in zip(mesh.parts, mesh.starts[:-1], mesh.starts[1:], strict=True):
            primitive = self._primitive(part, mesh.looks)
            if rig is not None:
                kind = np.uint8 if len(rig.skeleton) <= 256 else np.uint16
                attributes = primitive["attributes"]
                attributes["JOINTS_0"] = self.accessor(rig.joints[start:stop].astype(kind), VERTICES)
                attributes["WEIGHTS_0"] = self.accessor(rig.weights[start:stop].astype(np.float32), VERTICES)
            if not groups or groups[-1][0] != part.name:
                groups.append((part.name, []))
            groups[-1][1].append(primitive)
        for name, primitives in groups:
            number = self.add("meshes", {"primitives": primitives} | ({"name": name} if name else {}))
            self.add("nodes", {"mesh": number, "name": name or "mesh"} | ({"skin": 0} if rig else {}))
        self.first_joint = len(groups)
        roots = list(range(len(groups) + (rig is not None)))
        self.json["scenes"], self.json["scene"] = [{"nodes": roots}], 0

    def _primitive(self, part: Part, looks: Looks) -> dict[str, Any]:
        positions = part.positions.astype(np.float32)
        normals = vertex_normals(positions, part.faces) if part.normals is None else part.normals
        kind = np.uint16 if len(positions) < 65535 else np.uint32
        attributes = {
            "POSITION": self.accessor(positions, VERTICES, bounds=True),
            "NORMAL": self.accessor(normals.astype(np.float32), VERTICES),
        }
        for number, uv in enumerate(part.uvs):
            attributes[f"TEXCOORD_{number}"] = self.accessor(uv.astype(np.float32), VERTICES)
        if part.colours is not None:
            colours = np.round(np.clip(part.colours, 0, 1) * 65535).astype(np.uint16)
            attributes["COLOR_0"] = self.accessor(colours, VERTICES)
            self.json["accessors"][-1]["normalized"] = True
        indices = self.accessor(part.faces.astype(kind).ravel(), INDICES)
        primitive: dict[str, Any] = {"attributes": attributes, "indices": indices}
        if part.material is not None:
            primitive["material"] = part.material
            self._complete(part, looks.materials[part.material], normals, attributes)
        return primitive

    def _complete(self, part: Part, material: dict[str, Any], normals: Floats, attributes: dict[str, int]) -> None:
        """The texture coordinates that a material asks for, zeros if the part has none; tangents for a normal map."""
        for number in range(
            len(part.uvs), 1 + max((info.get("texCoord", 0) for info in texture_infos(material)), default=-1)
        ):
            attributes[f"TEXCOORD_{number}"] = self.accessor(np.zeros((len(part.positions), 2), np.float32), VERTICES)
        if "normalTexture" in material:
            chosen = material["normalTexture"].get("texCoord", 0)
            tangents = part.tangents
            if tangents is None:
                uv = part.uvs[chosen] if chosen < len(part.uvs) else np.zeros((len(part.positions), 2), np.float32)
                tangents = vertex_tangents(part.positions, normals, uv, part.faces)
            attributes["TANGENT"] = self.accessor(tangents.astype(np.float32), VERTICES)

    def skeleton(self, skeleton: Skeleton) -> None:
        """The joints as nodes, and the skin."""
        for joint, name in enumerate(skeleton.names):
            node: dict[str, Any] = {
                "name": name,
                "translation": skeleton.translations[joint].tolist(),
                "rotation": skeleton.rotations[joint].tolist(),
            }
            if skeleton.children[joint]:
                node["children"] = [self.first_joint + child for child in skeleton.children[joint]]
            self.add("nodes", node)
        binds = skeleton.inverse_binds.transpose(0, 2, 1).reshape(-1, 16).astype(np.float32)
        binds[:, 3::4] = (0, 0, 0, 1)
        joints = list(range(self.first_joint, self.first_joint + len(skeleton)))
        self.add("skins", {"inverseBindMatrices": self.accessor(binds), "joints": joints})

    def clip(self, clip: Clip, skeleton: Skeleton) -> None:
        """One animation: a channel for what differs from the rest pose, one key where a channel never changes."""
        times = (np.arange(clip.frames) / clip.fps).astype(np.float32)
        inputs: dict[int, int] = {}
        samplers: list[dict[str, Any]] = []
        channels: list[dict[str, Any]] = []

        def channel(joint: int, path: str, values: Floats) -> None:
            keys = 1 if np.abs(values - values[:1]).max() < 1e-6 else len(values)
            if keys not in inputs:
                inputs[keys] = self.accessor(times[:keys], bounds=True)
            output = self.accessor(values[:keys].astype(np.float32))
            samplers.append({"input": inputs[keys], "output": output, "interpolation": "LINEAR"})
            channels.append({"sampler": len(samplers) - 1, "target": {"node": self.first_joint + joint, "path": path}})

        for joint in range(len(skeleton)):
            shift = clip.translations[:, joint]
            if joint == 0 or np.abs(shift - skeleton.translations[joint]).max() > 1e-6:
                channel(joint, "translation", shift)
            channel(joint, "rotation", clip.rotations[:, joint])
            if clip.scales is not None and np.abs(clip.scales[:, joint] - 1).max() > 1e-6:
                channel(joint, "scale", clip.scales[:, joint])
        self.add("animations", {"name": clip.name, "samplers": samplers, "channels": channels})

    def bytes(self) -> bytes:
        """The whole file."""
        self.data += b"\0" * (-len(self.data) % 4)
        self.json["buffers"] = [{"byteLength": len(self.data)}]
        text = json.dumps(self.json, separators=(",", ":"), allow_nan=False).encode()
        text += b" " * (-len(text) % 4)
        total = 12 + 8 + len(text) + 8 + len(self.data)
        head = struct.pack("<4sII", b"glTF", 2, total) + struct.pack("<I4s", len(text), b"JSON")
        return head + text + struct.pack("<I4s", len(self.data), b"BIN\0") + bytes(self.data)


def _extensions(entry: Any) -> list[str]:
    """The names of all extensions used anywhere in an entry."""
    if isinstance(entry, list):
        return [name for value in entry for name in _extensions(value)]
    if not isinstance(entry, dict):
        return []
    found = list(entry.get("extensions", ()))
    for key, value in entry.items():
        found += _extensions(value) if key != "extras" else []
    return found
