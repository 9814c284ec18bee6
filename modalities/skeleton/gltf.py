"""A rigged glTF or GLB read as a `Rig` in one normal form, whatever it does with scales, parents and several skins.

The mesh stands in the pose it was bound in, in world metres; joints have no scale; a single root; weights of four
joints that add up to 1. What a viewer shows of the clips stays exact: a joint's world matrix times its inverse bind
is the same before and after, because each joint's frame is only multiplied by a constant on its own side.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from unreel.engine.errors import UserError
from unreel.modalities.skeleton.animation import pose_nodes, sample
from unreel.modalities.skeleton.clips import Clip, from_globals
from unreel.modalities.skeleton.document import Document, damaged, load_document
from unreel.modalities.skeleton.kinematics import Ints
from unreel.modalities.skeleton.materials import read_looks
from unreel.modalities.skeleton.mesh import Part, make_mesh
from unreel.modalities.skeleton.primitives import Skinned, moved, read_mesh
from unreel.modalities.skeleton.rig import Rig
from unreel.modalities.skeleton.rotations import Floats, nearest_rotation
from unreel.modalities.skeleton.skeleton import Skeleton, unique_names
from unreel.modalities.skeleton.skinning import skin

ROOT = -1  # stands for a root that is no node of the file


@dataclass(frozen=True, eq=False)
class Bind:
    """One skin: its joint nodes, the matrix that brings its mesh into the world, and where its joints stand then."""

    nodes: tuple[int, ...]
    shape: Floats  # (4, 4)
    places: Floats  # (J, 4, 4) world matrices of the joints in the bind pose


def is_rigged(document: Document) -> bool:
    """Whether a mesh of the file has a skin."""
    return any("skin" in node and "mesh" in node for node in document.entries("nodes"))


def read_rig(source: str | os.PathLike[str] | bytes | Document, *, fps: float = 30.0, clips: bool = True) -> Rig:
    """The rig of a .glb or .gltf file: mesh, materials, skeleton, weights, and the clips resampled at ``fps``.

    ``clips=False`` leaves the animations unread, which is quicker. ``notes`` of the rig say what was mended or left
    out. Raises UserError for files without a skin and for damaged ones.
    """
    document = source if isinstance(source, Document) else load_document(source)
    with damaged(document.name):
        return _read(document, fps, clips)


def _read(document: Document, fps: float, clips: bool) -> Rig:
    nodes = [n for n in document.shown if "mesh" in document.entries("nodes")[n]]
    skinned = [n for n in nodes if "skin" in document.entries("nodes")[n]]
    if not skinned:
        raise UserError(f"{document.name} has no skin; give a rigged file, or make it one with `unreel generate rig`")
    notes: list[str] = []
    parts = {node: read_mesh(document, node, notes) for node in nodes}
    binds: dict[int, Bind] = {}
    known: dict[int, Floats] = {}
    for node in sorted(skinned, key=lambda n: -sum(len(part.part.positions) for part in parts[n])):
        binds[node] = _bind(document, document.entries("nodes")[node]["skin"], parts[node], known, notes)
    joints, above = _tree(document, list(binds.values()))
    places = np.stack([np.eye(4) if node == ROOT else known.get(node, document.globals[node]) for node in joints])
    straight = _straighten(places)
    names = unique_names(_name(document, node) for node in joints)
    skeleton = Skeleton.from_globals(names, np.asarray(above), places @ straight)
    found = [
        _piece(document, node, part, binds.get(node), joints, places, notes) for node in nodes for part in parts[node]
    ]
    mesh = make_mesh([part for part, _, _ in found], read_looks(document), notes, document.name)
    moves = _clips(document, joints, straight, skeleton, fps, notes) if clips else ()
    return Rig(
        mesh,
        skeleton,
        np.concatenate([piece[1] for piece in found]),
        np.concatenate([piece[2] for piece in found]),
        moves,
        tuple(dict.fromkeys(notes)),
        sum(part.weightless for node in skinned for part in parts[node]),
    )


def _name(document: Document, node: int) -> str:
    return "root" if node == ROOT else str(document.entries("nodes")[node].get("name") or f"joint {node}")


def _bind(document: Document, number: int, parts: list[Skinned], known: dict[int, Floats], notes: list[str]) -> Bind:
    """How a skin was bound; its joints join ``known``, the world matrices of those that earlier skins have placed.

    Known joints say where the mesh stands; without any, the pose the file rests in does: by its heaviest joints.
    """
    entry = document.item("skins", number)
    nodes = tuple(entry["joints"])
    for node in nodes:
        document.item("nodes", node)
    if not nodes:
        raise UserError(f"{document.name} has a skin without joints; export it again with its skeleton")
    rest = np.stack([known.get(node, document.globals[node]) for node in nodes])
    if "inverseBindMatrices" in entry:
        inverse = document.matrices(entry["inverseBindMatrices"]).astype(np.float64)
    else:
        inverse = np.tile(np.eye(4), (len(nodes), 1, 1))
    if len(inverse) < len(nodes) or not np.isfinite(inverse).all():
        raise UserError(
            f"{document.name} has {len(nodes)} joints and {len(inverse)} sound inverse binds; export it again"
        )
    inverse = inverse[: len(nodes)]
    sound, stands = (np.abs(np.linalg.det(m[:, :3, :3])) > 1e-18 for m in (inverse, rest))
    usable = sound & stands
    if not usable.any():
        raise UserError(f"{document.name} has a skin whose joints are all squashed flat; export it again")
    if not usable.all():
        notes.append(f"{int((~usable).sum())} joints are squashed flat (scaled to nothing) in the file")
    load = np.where([node in known for node in nodes], 1e3, 1e-6)
    for part in parts:
        if part.joints is not None and part.weights is not None:
            if part.joints.max() >= len(nodes):
                raise UserError(f"{document.name} has weights for joints that its skin has not; export it again")
            load += np.bincount(part.joints.ravel(), part.weights.ravel(), len(nodes))
    shape = _medoid((rest @ inverse)[usable], load[usable])
    places = rest.copy()
    places[~stands, :3, :3] = np.eye(3)
    places[sound] = shape @ np.linalg.inv(inverse[sound])
    if not known and np.abs(places - rest)[usable].max() > 0.01 * max(
        float(np.ptp(places[:, :3, 3], axis=0).max()), 1e-9
    ):
        notes.append("the file opens in another pose than it was bound in; the bound pose is kept")
    for node, place in zip(nodes, places, strict=True):
        known.setdefault(node, place)
    return Bind(nodes, shape, places)


def _medoid(matrices: Floats, load: Floats) -> Floats:
    """The matrix with the least weighted distance to all others; they are all the same in most files."""
    apart = np.abs(matrices[:, None] - matrices[None]).reshape(len(matrices), len(matrices), 16).max(-1)
    return np.asarray(matrices[int(np.argmin(apart @ load))])


def _tree(document: Document, binds: list[Bind]) -> tuple[list[int], list[int]]:
    """All joint nodes, parents first, and the place of each one's parent; several roots get a common one."""
    inside = {node for bind in binds for node in bind.nodes}
    parents: dict[int, int] = {}
    for node in document.order:
        if node in inside:
            above = document.parents[node]
            while above >= 0 and above not in inside:
                above = document.parents[above]
            parents[node] = above
    roots = [node for node, above in parents.items() if above < 0]
    joints = list(parents)
    if len(roots) > 1:
        shared = _common(document, roots)
        joints = [shared, *joints]
        parents = {shared: -2} | {node: shared if node in roots else above for node, above in parents.items()}
    place = {node: index for index, node in enumerate(joints)}
    return joints, [place.get(parents[node], -1) for node in joints]


def _common(document: Document, nodes: list[int]) -> int:
    """The lowest node above all of ``nodes``, or ROOT."""
    shared: list[int] | None = None
    for node in nodes:
        way = []
        while document.parents[node] >= 0:
            node = document.parents[node]
            way.append(node)
        shared = way if shared is None else [above for above in shared if above in way]
    return shared[0] if shared else ROOT


def _straighten(places: Floats) -> Floats:
    """For each joint the matrix (J, 4, 4) that, on its right, makes its place a rotation and a translation."""
    straight = np.tile(np.eye(4), (len(places), 1, 1))
    upper = places[:, :3, :3]
    sound = np.abs(np.linalg.det(upper)) > 1e-18
    straight[sound, :3, :3] = np.linalg.inv(upper[sound]) @ nearest_rotation(upper[sound])
    return straight


def _piece(
    document: Document,
    node: int,
    skinned: Skinned,
    bind: Bind | None,
    joints: list[int],
    places: Floats,
    notes: list[str],
) -> tuple[Part, Ints, Floats]:
    """A part in the world as it stands when bound, with its joints and weights."""
    count = len(skinned.part.positions)
    if bind is not None and skinned.joints is not None and skinned.weights is not None:
        part = moved(skinned.part, bind.shape)
        here = np.asarray([joints.index(joint) for joint in bind.nodes])
        table = np.where(skinned.weights > 0, here[skinned.joints], 0)
        shift = places[here] @ np.linalg.inv(bind.places)
        if np.abs(shift - np.eye(4)).max() > 1e-3:
            notes.append(f"{part.name}: its skin was bound in another pose than the first; brought into that one")
            positions = skin(part.positions, skinned.joints, skinned.weights, shift.astype(np.float32))
            part = Part(positions, part.faces, None, part.uvs, part.colours, part.material, part.name)
        return part, table, skinned.weights
    above = node
    while above >= 0 and above not in joints:
        above = document.parents[above]
    if above < 0:
        notes.append(f"{skinned.part.name}: hangs on no joint of the skeleton; it follows the root")
        above = joints[0]
    place = joints.index(above)
    rest = np.eye(4) if above == ROOT else document.globals[above]
    carry = places[place] @ np.linalg.pinv(rest) @ document.globals[node]
    table = np.zeros((count, 4), np.int64)
    table[:, 0] = place
    return moved(skinned.part, carry), table, np.eye(4, dtype=np.float32)[np.zeros(count, np.int64)]


def _clips(
    document: Document, joints: list[int], straight: Floats, skeleton: Skeleton, fps: float, notes: list[str]
) -> tuple[Clip, ...]:
    """All animations that move a joint or something above one."""
    needed = set(joints) - {ROOT}
    for node in reversed(document.order):
        if node in needed and document.parents[node] >= 0:
            needed.add(document.parents[node])
    order = [node for node in document.order if node in needed]
    found = []
    for index, animation in enumerate(document.entries("animations")):
        tracks = sample(document, animation, fps, notes)
        if tracks is None or not any(node in needed for node, _ in tracks):
            notes.append(f"animation {animation.get('name', index)!r} moves no joint, left out")
            continue
        poses = pose_nodes(document, tracks, order)
        frames = len(poses[order[0]])
        still = np.broadcast_to(np.eye(4), (frames, 4, 4))
        world = np.stack([still if node == ROOT else poses[node] for node in joints], 1) @ straight
        found.append(from_globals(str(animation.get("name") or f"clip {index}"), fps, skeleton, world))
    names = unique_names(clip.name for clip in found)
    return tuple(Clip(n, c.fps, c.translations, c.rotations, c.scales) for n, c in zip(names, found, strict=True))
