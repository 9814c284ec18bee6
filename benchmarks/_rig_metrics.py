"""How far a skeleton is from another, and a skin from another.

Skeletons are compared in the mesh's unit box (longest side 1). Chamfer distances are UniRig's (SIGGRAPH 2025; its code
takes the mean of both directions over coordinates from -1 to 1 and divides by their range, which is the unit box):
joints to joints (J2J), joints to bones (J2B), bones to bones (B2B). Matching is RigNet's (Xu et al. 2020): joints are
paired one to one where they are close enough, IoU is twice the pairs over all joints of both, precision the paired
share of those made, recall of those that should be. "Close enough" is 0.15 in coordinates from -1 to 1, 0.075 here.
"""

from __future__ import annotations

import numpy as np

from unreel.modalities.skeleton.kinematics import Ints
from unreel.modalities.skeleton.rotations import Floats

CLOSE = 0.075  # of the longest side: 0.15 in coordinates from -1 to 1
ALONG = 0.01  # between two points of a bone, of the longest side

Bones = tuple[Floats, Ints]  # joints (J, 3) and parents (J,), the root's below 0 or itself


def compare(made: Bones, true: Bones) -> dict[str, float]:
    """All distances and shares of one skeleton."""
    return {
        "cd_j2j": joint_to_joint(made[0], true[0]),
        "cd_j2b": joint_to_bone(made, true),
        "cd_b2b": bone_to_bone(made, true),
        **matching(made[0], true[0]),
        "joints": float(len(made[0])),
    }


def joint_to_joint(made: Floats, true: Floats) -> float:
    """Mean distance from every joint to the nearest of the other skeleton, both ways."""
    apart = np.linalg.norm(made[:, None] - true[None], axis=-1)
    return float(apart.min(1).mean() + apart.min(0).mean()) / 2


def joint_to_bone(made: Bones, true: Bones) -> float:
    """Mean distance from every joint to the nearest bone of the other skeleton, both ways."""
    return float(to_bones(made[0], true).min(1).mean() + to_bones(true[0], made).min(1).mean()) / 2


def bone_to_bone(made: Bones, true: Bones) -> float:
    """Mean distance from points all along the bones to the nearest bone of the other skeleton, both ways."""
    return float(to_bones(along(made), true).min(1).mean() + to_bones(along(true), made).min(1).mean()) / 2


def segments(bones: Bones) -> tuple[Floats, Floats]:
    """Starts and ends (B, 3) of all bones; a lone joint is a bone of no length."""
    joints, parents = bones
    child = np.flatnonzero((parents >= 0) & (parents != np.arange(len(parents))))
    return (joints[parents[child]], joints[child]) if len(child) else (joints, joints)


def to_bones(points: Floats, bones: Bones) -> Floats:
    """Distances (N, B) of points to every bone."""
    starts, ends = segments(bones)
    way = ends - starts
    share = ((points[:, None] - starts) * way).sum(-1) / np.maximum((way**2).sum(-1), 1e-18)
    spots = starts + np.clip(share, 0, 1)[..., None] * way
    return np.linalg.norm(points[:, None] - spots, axis=-1)


def along(bones: Bones) -> Floats:
    """Points on all bones, evenly over their length."""
    starts, ends = segments(bones)
    count = np.maximum(1, np.ceil(np.linalg.norm(ends - starts, axis=1) / ALONG)).astype(int)
    return np.concatenate(
        [a + (np.arange(n) + 0.5)[:, None] / n * (b - a) for a, b, n in zip(starts, ends, count, strict=True)]
    )


def matching(made: Floats, true: Floats, close: float = CLOSE) -> dict[str, float]:
    """IoU, precision and recall of the largest pairing of joints that are close enough."""
    pairs = paired(np.linalg.norm(made[:, None] - true[None], axis=-1) <= close)
    return {"iou": 2 * pairs / (len(made) + len(true)), "precision": pairs / len(made), "recall": pairs / len(true)}


def paired(near: np.ndarray) -> int:
    """How many rows can have a column of their own among those marked (R, C): augmenting paths (Kuhn 1955)."""
    owner = np.full(near.shape[1], -1)

    def place(row: int, tried: set[int]) -> bool:
        for column in np.flatnonzero(near[row]).tolist():
            if column not in tried:
                tried.add(column)
                if owner[column] < 0 or place(int(owner[column]), tried):
                    owner[column] = row
                    return True
        return False

    return sum(place(row, set()) for row in range(len(near)))


def skin_l1(made: Floats, true: Floats) -> float:
    """Mean over points of the sum over joints of how far weights (N, J) are off: 0 to 2 (RigNet's average L1)."""
    return float(np.abs(made - true).sum(1).mean())
