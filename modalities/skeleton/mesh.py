"""A mesh as it came: parts (glTF primitives) with their own materials, normals and texture coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from unreel.engine.errors import UserError
from unreel.modalities.skeleton.kinematics import Ints
from unreel.modalities.skeleton.materials import Looks
from unreel.modalities.skeleton.rotations import Floats


@dataclass(frozen=True, eq=False)
class Part:
    """Triangles of one material; ``normals`` are unit, ``uvs`` sets of texture coordinates, ``colours`` linear RGBA."""

    positions: Floats  # (N, 3) metres
    faces: Ints  # (F, 3) of this part's vertices
    normals: Floats | None = None  # (N, 3)
    uvs: tuple[Floats, ...] = ()  # each (N, 2)
    colours: Floats | None = None  # (N, 4), 0..1
    material: int | None = None  # in the mesh's looks
    name: str = ""
    tangents: Floats | None = None  # (N, 4) as in glTF

    def kept(self, vertices: NDArray[np.bool_]) -> Part:
        """The part without some vertices and the faces that used them."""
        place = np.cumsum(vertices) - 1
        faces = place[self.faces[vertices[self.faces].all(1)]]
        return replace(
            self,
            positions=self.positions[vertices],
            faces=faces,
            normals=None if self.normals is None else self.normals[vertices],
            uvs=tuple(uv[vertices] for uv in self.uvs),
            colours=None if self.colours is None else self.colours[vertices],
            tangents=None if self.tangents is None else self.tangents[vertices],
        )


@dataclass(frozen=True, eq=False)
class Mesh:
    """Parts and their looks. Vertices are numbered through: part after part. ``notes`` is what a reader had to say."""

    parts: tuple[Part, ...]
    looks: Looks = field(default_factory=Looks)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.parts or not sum(len(part.faces) for part in self.parts):
            raise UserError("a mesh has at least one triangle, got none; give a surface, not points or lines")

    @cached_property
    def starts(self) -> Ints:
        """Where each part's vertices begin, and the number of all (P + 1,)."""
        return np.concatenate([[0], np.cumsum([len(part.positions) for part in self.parts])])

    @cached_property
    def positions(self) -> Floats:
        """All vertices (N, 3)."""
        return np.concatenate([part.positions for part in self.parts])

    @cached_property
    def faces(self) -> Ints:
        """All triangles (F, 3) of all vertices."""
        return np.concatenate([part.faces + start for part, start in zip(self.parts, self.starts[:-1], strict=True)])

    @cached_property
    def normals(self) -> Floats:
        """All vertex normals (N, 3), those a part lacks computed from its faces."""
        return np.concatenate(
            [
                vertex_normals(part.positions, part.faces) if part.normals is None else part.normals
                for part in self.parts
            ]
        )

    @property
    def bounds(self) -> Floats:
        """The corners (2, 3) of the box around everything."""
        return np.stack([self.positions.min(0), self.positions.max(0)])

    def with_positions(self, positions: Floats, normals: Floats | None = None) -> Mesh:
        """The mesh with other vertices (N, 3); tangents, and normals unless given, are left to be computed again."""
        parts = [
            replace(part, positions=positions[a:b], normals=None if normals is None else normals[a:b], tangents=None)
            for part, a, b in zip(self.parts, self.starts[:-1], self.starts[1:], strict=True)
        ]
        return replace(self, parts=tuple(parts))

    def scaled(self, factor: float) -> Mesh:
        """The mesh grown around the world's origin."""
        parts = [replace(part, positions=part.positions * np.float32(factor)) for part in self.parts]
        return replace(self, parts=tuple(parts))


@dataclass(frozen=True)
class Box:
    """A mesh's place in the world: ``(world - centre) / size`` brings it into [-0.5, 0.5], the longest side 1."""

    centre: tuple[float, float, float]
    size: float

    def to_unit(self, points: Floats) -> Floats:
        """World points (..., 3) in the unit box."""
        return np.asarray((points - np.asarray(self.centre)) / self.size, np.float32)

    def to_world(self, points: Floats) -> Floats:
        """Points of the unit box (..., 3) in the world: the inverse."""
        return np.asarray(points * self.size + np.asarray(self.centre), np.float32)


def box_of(positions: Floats) -> Box:
    """The box around points (N, 3)."""
    low, high = positions.min(0).astype(np.float64), positions.max(0).astype(np.float64)
    x, y, z = (low + high) / 2
    return Box((float(x), float(y), float(z)), float(max((high - low).max(), 1e-9)))


def unit_guess(height: float) -> tuple[str, float]:
    """What unit a character of this size was probably drawn in, and the factor to metres.

    Only a guess: creatures are mostly between 5 cm and 40 m, so sizes within that are taken for metres.
    """
    if height > 400:
        return "millimetres", 0.001
    if height > 40:
        return "centimetres", 0.01
    if height < 0.05:
        return "a unit box or kilometres", 1.0
    return "metres", 1.0


def vertex_normals(positions: Floats, faces: Ints) -> Floats:
    """Area-weighted unit normals (N, 3); +Y for vertices without a face that has an area."""
    corners = positions[faces].astype(np.float64)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.zeros((len(positions), 3))
    for corner in range(3):
        for axis in range(3):
            total[:, axis] += np.bincount(faces[:, corner], across[:, axis], len(positions))
    return unit_normals(total)


def unit_normals(normals: Floats) -> Floats:
    """Normals (N, 3) of length 1 as float32; +Y where there was none."""
    normals = np.where(np.isfinite(normals), normals, 0.0).astype(np.float64)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    fixed = np.where(length > 1e-20, normals / np.maximum(length, 1e-20), np.asarray([0.0, 1.0, 0.0]))
    return fixed.astype(np.float32)


def clean_part(part: Part, notes: list[str]) -> tuple[Part, NDArray[np.bool_]] | None:
    """The part without NaN vertices and faces that point nowhere, and which vertices stayed; None without a face."""
    label = f"part {part.name!r}" if part.name else "a part"
    count = len(part.positions)
    inside = ((part.faces >= 0) & (part.faces < count)).all(1)
    if not inside.all():
        notes.append(f"{label}: {int((~inside).sum())} faces name vertices that do not exist, left out")
        part = replace(part, faces=part.faces[inside])
    good: NDArray[np.bool_] = np.asarray(np.isfinite(part.positions).all(1))
    if not good.all():
        notes.append(f"{label}: {int((~good).sum())} vertices are not finite, left out with their faces")
        part = part.kept(good)
    if not len(part.faces):
        notes.append(f"{label}: no faces, left out")
        return None
    if part.normals is not None:
        part = replace(part, normals=unit_normals(part.normals))
    return part, good


def make_mesh(parts: Sequence[Part], looks: Looks, notes: list[str], name: str) -> Mesh:
    """The mesh of cleaned parts with only the looks they use, or UserError saying why nothing was left."""
    kept = list(parts)
    if not kept:
        reason = f" ({'; '.join(notes)})" if notes else ""
        raise UserError(f"{name} has no triangles{reason}; give a mesh with faces")
    used = [part.material for part in kept if part.material is not None]
    looks, place = looks.only(used)
    kept = [replace(part, material=None if part.material is None else place[part.material]) for part in kept]
    return Mesh(tuple(kept), looks, tuple(notes))
