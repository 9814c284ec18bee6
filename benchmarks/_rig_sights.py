"""The characters of a folder as they are measured: their mesh, and in its unit box the skeleton and the skin."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unreel.benchmarks._rig_metrics import Bones
from unreel.modalities.rig.rig.bodies import RATE, learnable
from unreel.modalities.rig.subject import subject_of
from unreel.modalities.skeleton.catalog import Entry, read_catalog
from unreel.modalities.skeleton.gltf import read_rig
from unreel.modalities.skeleton.mesh import Box, Mesh
from unreel.modalities.skeleton.rig import Rig
from unreel.modalities.skeleton.rotations import Floats
from unreel.modalities.skeleton.skinning import top_to_dense
from unreel.modalities.skeleton.surface import sample_surface

POINTS = 1024  # of the surface, at which skins are compared
KINDS = {
    "fish": "fish shark whale dolphin koi tang tuna betta piranha puffer ray tetra turbot clownfish goldfish flatfish "
    "catfish blobfish anglerfish sunfish swordfish grouper idol flower gramma cowfish humphead",
    "person": "human character adventurer casual beach formal worker punk spacesuit soldier witch king medieval sci fi "
    "knight barbarian mage rogue m2m mixamo zombie",
    "animal": "fox cat dog panda horse alpaca bull cow donkey stag shiba inu rat frog stegosaurus triceratops "
    "apatosaurus parasaurolophus velociraptor trex kaiju dragon snake",
    "insect or bird": "spider crab wasp bird eagle",
    "machine or monster": "tank mech leela stan george enemy skull",
}


@dataclass(frozen=True, eq=False)
class Sight:
    """``group`` is the same for the same body.

    ``bones`` breadth first and ``points`` (N, 3) of the surface in the unit ``box``; ``weights`` (N, J).
    """

    name: str
    group: str
    kind: str
    mesh: Mesh
    box: Box
    bones: Bones
    points: Floats
    normals: Floats
    weights: Floats


def sights(folder: Path) -> tuple[list[Sight], list[Sight]]:
    """The characters to copy from and those held out, without their clips."""
    catalog = read_catalog(folder, joints=(3, 96))
    train, held_out = ([sight_of(entry) for entry in side] for side in (catalog.train, catalog.held_out))
    return train, held_out


def sight_of(entry: Entry) -> Sight:
    """One character; its skeleton is made natural with the help of its clips, as in training."""
    return make_sight(learnable(read_rig(entry.path, fps=RATE)), entry.name, entry.character)


def make_sight(rig: Rig, name: str, group: str = "") -> Sight:
    """What is measured of a rig."""
    skeleton, order = rig.skeleton.breadth_first()
    box = subject_of(rig.mesh).box
    samples = sample_surface(rig.mesh.positions, rig.mesh.faces, POINTS, seed=3)
    dense = top_to_dense(rig.joints, rig.weights, len(order))[:, order]
    return Sight(
        name,
        group or name,
        kind_of(name),
        rig.mesh,
        box,
        (box.to_unit(skeleton.positions), skeleton.parents),
        box.to_unit(samples.points),
        samples.normals,
        samples.carry(rig.mesh.faces, dense),
    )


def kind_of(name: str) -> str:
    """What sort of being a file's name tells of; ``other`` where it does not."""
    words = re.findall(r"[a-z]+\d*[a-z]*", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower().replace("_", " "))
    bare = {word.rstrip("0123456789") for word in words} | set(words)
    for kind, known in KINDS.items():
        if bare & set(known.split()):
            return kind
    return "other"


def mean_of(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Means of all numbers of some rows."""
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]} if rows else {}


def mean_by_group(rows: Sequence[dict[str, float]], groups: Sequence[str]) -> dict[str, float]:
    """The same with every group counting once, however many rows it has."""
    found: dict[str, list[dict[str, float]]] = {}
    for row, group in zip(rows, groups, strict=True):
        found.setdefault(group, []).append(row)
    return mean_of([mean_of(part) for part in found.values()])
