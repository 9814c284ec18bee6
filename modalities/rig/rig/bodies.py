"""What a trainer keeps of a character: its body at two resolutions, its skeleton, and poses out of its clips."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unreel.engine.errors import UserError
from unreel.modalities.skeleton.catalog import Entry, read_catalog
from unreel.modalities.skeleton.gltf import read_rig
from unreel.modalities.skeleton.kinematics import Ints
from unreel.modalities.skeleton.natural import natural
from unreel.modalities.skeleton.rig import Rig
from unreel.modalities.skeleton.rotations import Floats
from unreel.modalities.skeleton.skeleton import Skeleton
from unreel.modalities.skeleton.surface import decimated

FINE, COARSE = 6000, 800  # faces of the two resolutions, at most
POSES = 48  # kept of a character's clips, at most
STRAY = 1e-3  # of all weight: what a joint may carry that is none of the body
AWAY = 0.22  # of the size of the mesh: as far as a root is from all its children when it is none of the body
RATE = 5.0  # frames per second at which clips are read: poses, not motion


@dataclass(frozen=True, eq=False)
class Skin:
    """A surface: vertices (V, 3), triangles (F, 3), and four joints and weights (V, 4) of each vertex."""

    positions: Floats
    faces: Ints
    joints: Ints
    weights: Floats


@dataclass(frozen=True, eq=False)
class Character:
    """``skins`` of one body, finest first; ``poses`` (P, J, 4, 4) are world matrices of the joints."""

    name: str
    group: str
    skins: tuple[Skin, ...]
    skeleton: Skeleton
    poses: Floats


def load_characters(folder: Path, joints: int) -> tuple[list[Character], list[Character]]:
    """The characters to learn from and those held out, of at most so many joints.

    Raises:
        UserError: no folder, no rigged file in it, or none left on one of the sides.
    """
    catalog = read_catalog(folder, joints=(3, joints))
    sides = (
        [character_of(entry, joints) for entry in catalog.train],
        [character_of(entry, joints) for entry in catalog.held_out],
    )
    train, held_out = ([one for one in side if one is not None] for side in sides)
    if not train or not held_out:
        raise UserError(
            f"{folder} gives {len(train)} characters to learn from and {len(held_out)} to measure with; "
            "both are needed: add rigged characters"
        )
    return train, held_out


def character_of(entry: Entry, joints: int) -> Character | None:
    """One file's character; None when its skeleton has more than ``joints`` once it is made natural."""
    rig = learnable(read_rig(entry.path, fps=RATE))
    return make_character(rig, entry.name, entry.character) if len(rig.skeleton) <= joints else None


def learnable(rig: Rig) -> Rig:
    """The rig made natural, and without a weightless root that stands away from the body (on the floor below it): the
    child in the midst of the others is their parent then."""
    rig = natural(rig)
    skeleton, sums = rig.skeleton, rig.weight_sums()
    children = list(skeleton.children[0])
    if len(children) < 2 or sums[0] > STRAY * sums.sum():
        return rig
    spots, size = skeleton.positions, float(np.ptp(rig.mesh.positions, axis=0).max())
    if np.linalg.norm(spots[children] - spots[0], axis=1).min() < AWAY * size:
        return rig
    apart = np.linalg.norm(spots[children][:, None] - spots[children][None], axis=-1)
    heir = children[int(apart.sum(1).argmin())]
    return rig.rehung({child: heir for child in children if child != heir}).pruned(STRAY)


def make_character(rig: Rig, name: str, group: str) -> Character:
    """What is kept of a rig."""
    fine = thinned(rig, FINE)
    skins = (fine,) if len(fine.faces) <= COARSE else (fine, thinned(rig, COARSE))
    poses = [clip.globals(rig.skeleton) for clip in rig.clips]
    every = np.concatenate(poses) if poses else rig.skeleton.globals[None]
    chosen = np.unique(np.linspace(0, len(every) - 1, POSES).round().astype(np.int64))
    kept = every[chosen]
    sound = np.isfinite(kept).all((1, 2, 3))
    return Character(name, group, skins, rig.skeleton, kept[sound].astype(np.float32))


def thinned(rig: Rig, faces: int) -> Skin:
    """The rig's surface with about so many faces; weights are those of the nearest vertices."""
    mesh = rig.mesh
    if len(mesh.faces) <= faces:
        return Skin(mesh.positions, mesh.faces, rig.joints, rig.weights)
    positions, triangles = decimated(mesh, faces)
    near = nearest_vertex(positions, mesh.positions)
    return Skin(positions, triangles, rig.joints[near], rig.weights[near])


def nearest_vertex(places: Floats, points: Floats, block: int = 512) -> Ints:
    """The number of the point (N, 3) nearest to each place (M, 3)."""
    middle = points.mean(0)
    target = (points - middle).astype(np.float32)
    lengths = (target**2).sum(1)
    found = [
        (lengths - 2 * (places[start : start + block] - middle).astype(np.float32) @ target.T).argmin(1)
        for start in range(0, len(places), block)
    ]
    return np.concatenate(found)
