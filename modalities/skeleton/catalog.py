"""Training data: a folder of rigged files, which bodies are the same under two names, and which are held out."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unreel.engine.errors import UserError
from unreel.modalities.skeleton.document import load_document
from unreel.modalities.skeleton.gltf import read_rig
from unreel.modalities.skeleton.mesh import box_of
from unreel.modalities.skeleton.rig import Rig
from unreel.modalities.skeleton.surface import sample_surface, welded

# Words of a file name that tell variants of one character apart, not characters.
VARIANTS = set(
    "a b c base animations animation anim gun angry mesh rig model character white black blue red green yellow orange "
    "pink purple brown grey gray gold golden dark light".split()
)
CELLS = 20  # of the unit box along each side, for comparing shapes
SAME = 0.88  # shared part of the cells two copies of one body touch


Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Entry:
    """A file that can be learned from. ``character`` is the same for the same body, and decides ``held_out``."""

    path: Path
    name: str
    character: str
    held_out: bool
    joints: int
    weighted: int  # joints that carry something, or something below them does
    vertices: int
    faces: int
    clips: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Skipped:
    """A file that was left out, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Catalog:
    """What a folder holds, sorted by name."""

    entries: tuple[Entry, ...]
    skipped: tuple[Skipped, ...]

    @property
    def train(self) -> tuple[Entry, ...]:
        """What to learn from."""
        return tuple(entry for entry in self.entries if not entry.held_out)

    @property
    def held_out(self) -> tuple[Entry, ...]:
        """What to measure with."""
        return tuple(entry for entry in self.entries if entry.held_out)


@dataclass(frozen=True, eq=False)
class _Seen:
    """What is kept of a file until all have been read."""

    path: Path
    rig: Rig
    clips: tuple[str, ...]
    body: str
    family: str
    cells: Flags


def read_catalog(
    folder: str | os.PathLike[str], *, held_out: float = 0.15, joints: tuple[int, int] = (3, 128), seed: int = 0
) -> Catalog:
    """All .glb and .gltf files under a folder, split by character; the same files give the same split anywhere.

    ``held_out`` is about the share of characters that are kept for measuring. Files are skipped, with the reason,
    that do not read, whose carrying joints are not ``joints`` (least, most) in number, or that leave a tenth of their
    vertices without weight. A second file with the same body is on the same side as the first: its vertices are the
    same, or its shape nearly is, or its name is but for colours and numbers. Raises UserError when there is no such
    folder or file.
    """
    root = Path(folder)
    if not root.is_dir():
        raise UserError(f"there is no folder {folder}; give one with rigged .glb files")
    paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in (".glb", ".gltf"))
    if not paths:
        raise UserError(f"{folder} has no .glb or .gltf file in it or below; give a folder of rigged characters")
    seen: list[_Seen] = []
    skipped: list[Skipped] = []
    for path in paths:
        found = _look(path, joints)
        if isinstance(found, Skipped):
            skipped.append(found)
        else:
            seen.append(found)
    characters = _characters(seen)
    entries = tuple(
        Entry(
            one.path,
            one.path.stem,
            character,
            _chance(character, seed) < held_out,
            len(one.rig.skeleton),
            len(one.rig.pruned().skeleton),
            len(one.rig.mesh.positions),
            len(one.rig.mesh.faces),
            one.clips,
            one.rig.notes,
        )
        for one, character in zip(seen, characters, strict=True)
    )
    return Catalog(entries, tuple(skipped))


def _look(path: Path, joints: tuple[int, int]) -> _Seen | Skipped:
    """One file, or why not."""
    try:
        document = load_document(path)
        rig = read_rig(document, clips=False)
    except UserError as error:
        return Skipped(path, str(error))
    carrying = len(rig.pruned().skeleton)
    if not joints[0] <= carrying <= joints[1]:
        return Skipped(path, f"{carrying} joints carry something; asked for {joints[0]} to {joints[1]}")
    if rig.weightless > 0.1 * len(rig.mesh.positions):
        return Skipped(path, f"{rig.weightless} of {len(rig.mesh.positions)} vertices have no weight")
    clips = tuple(str(entry.get("name", "")) for entry in document.entries("animations"))
    return _Seen(path, rig, clips, body_hash(rig), family(path.stem), _cells(rig))


def body_hash(rig: Rig) -> str:
    """The same for the same vertices in any order, at any place and size."""
    positions, _ = welded(rig.mesh.positions, rig.mesh.faces)
    grid = np.round(box_of(positions).to_unit(positions) * 1000).astype(np.int32)
    return hashlib.sha256(np.unique(grid, axis=0).tobytes()).hexdigest()[:16]


def family(stem: str) -> str:
    """A file name without what tells variants apart: numbers, colours, words like "angry"; Tank2 is Tank."""
    words = re.findall(r"[a-z]+|\d+[a-z]+|\d+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", stem).lower())
    kept = [word for word in words if not word.isdigit() and word not in VARIANTS]
    return " ".join(kept or words)


def _cells(rig: Rig) -> Flags:
    """Which cells of its box a body's surface touches, as flags."""
    positions, faces = rig.mesh.positions, rig.mesh.faces
    points = box_of(positions).to_unit(sample_surface(positions, faces, 16384, 0).points)
    place = np.clip(((points + 0.5) * CELLS).astype(np.int64), 0, CELLS - 1)
    flags = np.zeros(CELLS**3, bool)
    flags[(place[:, 0] * CELLS + place[:, 1]) * CELLS + place[:, 2]] = True
    return flags


def _characters(seen: list[_Seen]) -> list[str]:
    """The character of each file: the least body hash of all that are the same, directly or through others."""
    leader = list(range(len(seen)))

    def find(one: int) -> int:
        while leader[one] != one:
            one = leader[one]
        return one

    for one, other in _pairs(len(seen)):
        a, b = seen[one], seen[other]
        same = a.body == b.body or a.family == b.family
        if same or (a.cells & b.cells).sum() >= SAME * (a.cells | b.cells).sum():
            leader[find(other)] = find(one)
    groups: dict[int, str] = {}
    for number, entry in enumerate(seen):
        head = find(number)
        groups[head] = min(groups.get(head, entry.body), entry.body)
    return [groups[find(number)] for number in range(len(seen))]


def _pairs(count: int) -> Iterator[tuple[int, int]]:
    return ((one, other) for one in range(count) for other in range(one + 1, count))


def _chance(character: str, seed: int) -> float:
    """A number from 0 to 1 that depends on nothing but the character and the seed."""
    return int(hashlib.sha256(f"{seed} {character}".encode()).hexdigest()[:12], 16) / 16**12
