"""glTF primitives read as parts, in the space of their mesh, and the joints and weights of their vertices."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from unreel.modalities.skeleton.document import Document
from unreel.modalities.skeleton.kinematics import Ints
from unreel.modalities.skeleton.mesh import Part, clean_part
from unreel.modalities.skeleton.rotations import Floats
from unreel.modalities.skeleton.skinning import top_weights

TRIANGLES, STRIP, FAN = 4, 5, 6


@dataclass(frozen=True, eq=False)
class Skinned:
    """A part and, when the file gives them, the joints (N, 4) of its skin and their weights (N, 4)."""

    part: Part
    joints: Ints | None = None
    weights: Floats | None = None
    weightless: int = 0  # vertices whose weights in the file are all zero


def read_mesh(document: Document, node: int, notes: list[str]) -> list[Skinned]:
    """The parts of the mesh that a node shows, cleaned, in the mesh's own space."""
    entry = document.entries("nodes")[node]
    mesh = document.item("meshes", entry["mesh"])
    name = str(entry.get("name") or mesh.get("name") or f"mesh {entry['mesh']}")
    if any("targets" in primitive for primitive in mesh["primitives"]):
        notes.append(f"{name}: morph targets are left out, the mesh stays in its base shape")
    found = []
    for primitive in mesh["primitives"]:
        if primitive.get("mode", TRIANGLES) not in (TRIANGLES, STRIP, FAN):
            notes.append(f"{name}: points or lines, left out")
        elif "POSITION" in primitive.get("attributes", {}):
            skinned = read_primitive(document, primitive, name, notes)
            found += [] if skinned is None else [skinned]
    return found


def read_primitive(document: Document, primitive: dict[str, Any], name: str, notes: list[str]) -> Skinned | None:
    """One primitive, cleaned; None when nothing of it is left."""
    attributes = primitive["attributes"]
    positions = document.numbers(attributes["POSITION"])
    count = len(positions)

    def read(key: str) -> Floats | None:
        values = document.numbers(attributes[key]) if key in attributes else None
        if values is not None and len(values) != count:
            notes.append(f"{name}: {key} has {len(values)} entries for {count} vertices, left out")
            return None
        return values

    uvs: list[Floats] = []
    while f"TEXCOORD_{len(uvs)}" in attributes:
        uv = read(f"TEXCOORD_{len(uvs)}")
        uvs.append(np.zeros((count, 2), np.float32) if uv is None else np.where(np.isfinite(uv), uv, 0))
    colours = read("COLOR_0")
    if colours is not None and colours.shape[1] == 3:
        colours = np.concatenate([colours, np.ones_like(colours[:, :1])], 1)
    material = primitive.get("material")
    if material is not None:
        document.item("materials", material)
    faces = _faces(document, primitive, count)
    part = Part(positions, faces, read("NORMAL"), tuple(uvs), colours, material, name, read("TANGENT"))
    cleaned = clean_part(part, notes)
    if cleaned is None:
        return None
    part, kept = cleaned
    joints, weights, weightless = _influences(document, attributes, count, name, notes)
    if joints is None or weights is None:
        return Skinned(part)
    return Skinned(part, joints[kept], weights[kept], weightless)


def _faces(document: Document, primitive: dict[str, Any], count: int) -> Ints:
    """Triangles (F, 3); strips and fans unrolled."""
    if "indices" in primitive:
        index = document.raw(primitive["indices"])[:, 0].astype(np.int64)
    else:
        index = np.arange(count)
    mode = primitive.get("mode", TRIANGLES)
    if mode == TRIANGLES:
        return index[: len(index) // 3 * 3].reshape(-1, 3)
    a = index[:-2] if mode == STRIP else np.broadcast_to(index[:1], (max(len(index) - 2, 0),))
    faces = np.stack([a, index[1:-1], index[2:]], -1)
    if mode == STRIP:
        faces[1::2, :2] = faces[1::2, 1::-1]
    return faces


def _influences(
    document: Document, attributes: dict[str, int], count: int, name: str, notes: list[str]
) -> tuple[Ints | None, Floats | None, int]:
    """The four strongest joints of every vertex over all sets, weights adding up to 1; and how many had no weight."""
    joints, weights, number = [], [], 0
    while f"JOINTS_{number}" in attributes and f"WEIGHTS_{number}" in attributes:
        joints.append(document.raw(attributes[f"JOINTS_{number}"]).astype(np.int64))
        weights.append(document.numbers(attributes[f"WEIGHTS_{number}"]))
        number += 1
    if not joints or any(len(values) != count for values in (*joints, *weights)):
        return None, None, 0
    every = np.concatenate(weights, 1)
    total = np.where(np.isfinite(every), np.maximum(every, 0), 0).sum(1)
    empty = total < 1e-6
    if empty.any():
        notes.append(
            f"{name}: {int(empty.sum())} of {count} vertices have no weight; they follow the first joint of the skin"
        )
    off = np.abs(total - 1) > 0.01
    if (off & ~empty).any():
        notes.append(
            f"{name}: the weights of {int((off & ~empty).sum())} of {count} vertices did not add up to 1; they do now"
        )
    return *top_weights(np.concatenate(joints, 1), every), int(empty.sum())


def moved(part: Part, matrix: Floats) -> Part:
    """The part carried by a matrix (4, 4); faces turn around when it mirrors."""
    upper = matrix[:3, :3].astype(np.float64)
    positions = (part.positions @ upper.T + matrix[:3, 3]).astype(np.float32)
    determinant = np.linalg.det(upper)
    normals = part.normals
    if normals is not None:
        # The cofactors are the inverse transpose but for a factor, and exist for flat matrices too.
        cofactors = np.stack([np.cross(upper[1], upper[2]), np.cross(upper[2], upper[0]), np.cross(upper[0], upper[1])])
        turned = normals @ cofactors.T * (-1 if determinant < 0 else 1)
        length = np.linalg.norm(turned, axis=1, keepdims=True)
        normals = (turned / np.where(length > 0, length, 1)).astype(np.float32)
    tangents = part.tangents
    if tangents is not None:
        along, side = tangents[:, :3] @ upper.T, tangents[:, 3:] * (-1 if determinant < 0 else 1)
        length = np.linalg.norm(along, axis=1, keepdims=True)
        tangents = np.concatenate([along / np.where(length > 0, length, 1), side], 1).astype(np.float32)
        tangents = tangents if (length > 0).all() else None
    faces = part.faces[:, ::-1] if determinant < 0 else part.faces
    return replace(part, positions=positions, normals=normals, faces=faces, tangents=tangents)
