"""From joints to a rig: the skeleton, and a skin for every vertex of the whole mesh."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from unreel.engine.errors import UserError
from unreel.engine.model import Model
from unreel.modalities.rig.joint import Joint
from unreel.modalities.rig.naming import named
from unreel.modalities.rig.net import RigNet
from unreel.modalities.rig.subject import Subject, subject_of
from unreel.modalities.skeleton.kinematics import Ints
from unreel.modalities.skeleton.mesh import Mesh
from unreel.modalities.skeleton.rig import Rig
from unreel.modalities.skeleton.rotations import Floats
from unreel.modalities.skeleton.skeleton import Skeleton
from unreel.modalities.skeleton.skinning import lift_weights
from unreel.modalities.skeleton.surface import sample_surface

ASKED = 2048  # points of the surface that are asked for their weights; vertices take those of the nearest
TOGETHER = 1024  # points in one call
MANY = 40_000  # vertices; above it those of one cell of the box share their weights
CELLS = 256  # along the longest side


def skeleton_of(joints: Sequence[Joint]) -> Skeleton:
    """The skeleton of the events of a session, as far as they go; all joints stand unturned.

    Raises:
        UserError: there is no joint.
    """
    if not joints:
        raise UserError("a rig needs one joint or more, got none")
    return Skeleton.from_positions(
        [joint.name for joint in joints],
        np.asarray([joint.parent for joint in joints]),
        np.asarray([joint.position for joint in joints]),
    )


def assemble(model: Model, mesh: Mesh, joints: Sequence[Joint], subject: Subject | None = None) -> Rig:
    """The mesh, whole and as it came, on the skeleton of ``joints``, its skin made by the model.

    ``subject`` is what the model saw of the mesh; made again if it is not given. The joints of a body get its names.
    """
    return skinned(model, mesh, named(skeleton_of(joints)), subject)


def skinned(model: Model, mesh: Mesh, skeleton: Skeleton, subject: Subject | None = None) -> Rig:
    """The mesh on any skeleton whose joints come breadth first: weights of the model, four joints to a vertex."""
    subject = subject or subject_of(mesh)
    samples = sample_surface(mesh.positions, mesh.faces, ASKED, seed=1)
    points = np.concatenate([subject.box.to_unit(samples.points), samples.normals], 1).astype(np.float32)
    weights = weigh(model, subject, points, subject.box.to_unit(skeleton.positions), skeleton.parents)
    joints, shares = lifted(subject.box.to_unit(mesh.positions), points[:, :3], weights)
    return Rig(mesh, skeleton, joints, shares, notes=mesh.notes)


def lifted(vertices_N3: Floats, points_M3: Floats, weights_MJ: Floats) -> tuple[Ints, Floats]:
    """Joints and weights (N, 4) of vertices in the unit box; millions of them take seconds, not minutes."""
    if len(vertices_N3) <= MANY:
        return lift_weights(vertices_N3, points_M3, weights_MJ)
    cells = np.floor(np.clip(vertices_N3 + 0.5, 0, 1) * (CELLS - 1e-3)).astype(np.int64)
    key = (cells[:, 0] * CELLS + cells[:, 1]) * CELLS + cells[:, 2]
    _, place, count = np.unique(key, return_inverse=True, return_counts=True)
    middles = np.stack([np.bincount(place, vertices_N3[:, axis]) / count for axis in range(3)], 1)
    joints, shares = lift_weights(middles.astype(np.float32), points_M3, weights_MJ)
    return joints[place], shares[place]


def weigh(model: Model, subject: Subject, points_M6: Floats, joints_J3: Floats, parents_J: Ints) -> Floats:
    """Weights (M, J), adding up to 1, of points with normals and joints, all in the unit box of ``subject``."""
    net = model.backbone
    assert isinstance(net, RigNet), "a rig model's backbone"
    told = int(model.card.plan.get("points", len(subject.surface)))

    def row(values: Floats | Ints, dtype: torch.dtype) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(model.device, dtype)[None]

    joints, parents = row(joints_J3, torch.float32), row(np.maximum(parents_J, 0), torch.int64)
    none = torch.zeros_like(parents, dtype=torch.bool)
    with torch.inference_mode():
        shape = net.encode(row(subject.surface[:told], torch.float32))
        parts = [
            net.weigh(shape, part, joints, parents, none).softmax(-1)[0]
            for part in row(points_M6, torch.float32).split(TOGETHER, 1)
        ]
    weights: Floats = torch.cat(parts).cpu().numpy()
    return weights
