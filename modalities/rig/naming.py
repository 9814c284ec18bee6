"""Names for the joints of a finished skeleton that is a body: hips, spine, arms, legs, told by where they are.

Motion goes onto rigs whose joints have roles (`skeleton.names`). A model makes joints without names; those of an
upright body with two legs and two arms are told from geometry here. Other beings keep their numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from unreel.modalities.skeleton.rotations import Floats
from unreel.modalities.skeleton.skeleton import Skeleton, unique_names

UP = np.asarray([0.0, 1.0, 0.0])
UPRIGHT = 0.8  # how much of the way from the legs to the arms leads up: not on four legs
LOW, HIGH = 0.2, 0.15  # of the height: how near feet come to the floor, how far above the hips the rest reaches
APART = 0.1  # of the height: how far arms reach to either side at least
ANKLE = 0.25  # of a leg: a foot begins below it
SHORT = 0.65  # a first bone this much shorter than the second is a collar bone


@dataclass(frozen=True, eq=False)
class Tree:
    """A skeleton at rest, asked about its parts. Joints are numbers."""

    skeleton: Skeleton
    spots: Floats  # (J, 3)

    @property
    def height(self) -> float:
        return float(np.ptp(self.spots[:, 1]))

    def below(self, joint: int) -> Floats:
        """Where everything from a joint on is."""
        spots: Floats = self.spots[self.skeleton.subtree(joint)]
        return spots

    def length(self, a: int, b: int) -> float:
        return float(np.linalg.norm(self.spots[a] - self.spots[b]))

    def chain(self, joint: int) -> list[int]:
        """From a joint along its longest way to a tip."""
        ways = [self.chain(child) for child in self.skeleton.children[joint]]
        longest = max(ways, key=lambda way: self.stretch([joint, *way]), default=[])
        return [joint, *longest]

    def stretch(self, chain: Sequence[int]) -> float:
        """How long a chain is."""
        return sum(self.length(a, b) for a, b in zip(chain, chain[1:], strict=False))


def named(skeleton: Skeleton) -> Skeleton:
    """The skeleton with the names of a body where it is one; as it is where it is none."""
    found = body_names(skeleton)
    names = [found.get(joint, name) for joint, name in enumerate(skeleton.names)]
    return replace(skeleton, names=tuple(unique_names(names)))


def body_names(skeleton: Skeleton) -> dict[int, str]:
    """Joint -> name; empty when this is no upright body."""
    tree = Tree(skeleton, skeleton.positions.astype(np.float64))
    hips = next((joint for joint in range(len(skeleton)) if len(legs(tree, joint)) == 2), None)
    if hips is None or tree.height <= 0:
        return {}
    two = legs(tree, hips)
    across = tree.below(two[0]).mean(0) - tree.below(two[1]).mean(0)
    across[1] = 0.0
    across /= max(float(np.linalg.norm(across)), 1e-9)
    trunk = spine(tree, hips, across)
    if not trunk:
        return {}
    arms = shoulders(tree, trunk[-1], across)
    rise = tree.spots[trunk[-1]] - tree.spots[two].mean(0)
    if rise[1] < UPRIGHT * np.linalg.norm(rise):
        return {}
    if tree.spots[two, 1].mean() > tree.spots[hips, 1] + LOW * tree.height and len(trunk) > 1:
        hips, trunk = trunk[0], trunk[1:]  # a root on the floor carries hips and legs
    names = {hips: "hips", **trunk_names(tree, trunk, arms)}
    left = left_of(tree, two, across)
    for children, name_limb in ((two, leg_names), (arms, arm_names)):
        for child in children:
            side = "left" if (tree.below(child).mean(0) - tree.spots[hips]) @ left > 0 else "right"
            names |= {joint: f"{side}_{part}" for joint, part in name_limb(tree, child).items()}
    return names


def legs(tree: Tree, joint: int) -> list[int]:
    """The children that lead to the floor, if there is another one that leads to the top."""
    floor, children = tree.spots[:, 1].min(), tree.skeleton.children[joint]
    tops = {child: float(tree.below(child)[:, 1].max()) for child in children}
    up = max(tops, key=lambda child: tops[child], default=None)
    if up is None or tops[up] < tree.spots[joint, 1] + HIGH * tree.height:
        return []
    least = floor + LOW * tree.height
    return [
        child
        for child in children
        if tops[child] < tops[up] - HIGH * tree.height and tree.below(child)[:, 1].min() < least
    ]


def spine(tree: Tree, hips: int, across: Floats) -> list[int]:
    """The joints from the hips up to the one that arms grow from; empty without such a one."""
    joint, found = hips, []
    while True:
        above = [child for child in tree.skeleton.children[joint] if joint != hips or child not in legs(tree, hips)]
        if not above:
            return []
        joint = max(above, key=lambda child: tree.below(child)[:, 1].max())
        found.append(joint)
        if len(shoulders(tree, joint, across)) == 2:
            return found


def shoulders(tree: Tree, chest: int, across: Floats) -> list[int]:
    """The children that reach farthest to either side and keep off the floor."""
    floor = tree.spots[:, 1].min()
    found = []
    for sign in (1.0, -1.0):
        reach = {
            child: float(((tree.below(child) - tree.spots[chest]) @ across * sign).max())
            for child in tree.skeleton.children[chest]
            if ((tree.below(child) - tree.spots[chest]) @ across * sign).mean() > 0.5 * APART * tree.height
        }
        best = max(reach, key=lambda child: reach[child], default=None)
        free = best is not None and tree.below(best)[:, 1].min() > floor + 0.5 * LOW * tree.height
        if best is not None and free and reach[best] > APART * tree.height:
            found.append(best)
    return found if len(set(found)) == 2 else []


def trunk_names(tree: Tree, trunk: Sequence[int], arms: Sequence[int]) -> dict[int, str]:
    """Spine, chest, neck and head."""
    lower = dict(zip(trunk[:-1], ("spine", "spine2", "spine_low", "spine_mid"), strict=False))
    names = {**lower, trunk[-1]: "chest" if len(trunk) > 1 else "spine"}
    above = [child for child in tree.skeleton.children[trunk[-1]] if child not in arms]
    if above:
        chain = tree.chain(max(above, key=lambda child: tree.below(child)[:, 1].max()))
        names |= {chain[0]: "head"} if len(chain) == 1 else {chain[0]: "neck", chain[1]: "head"}
    return names


def left_of(tree: Tree, two: Sequence[int], across: Floats) -> Floats:
    """The direction to the body's own left: toes tell where the front is; without toes it is towards +Z."""
    ahead = np.cross(across, UP)
    toes = sum((tree.spots[chain[-1]] - tree.spots[chain[ankle_of(tree, chain)]]) for chain in map(tree.chain, two))
    told = float(np.dot(toes, ahead))
    if abs(told) < 0.02 * tree.height:
        told = float(ahead[2]) if abs(ahead[2]) > 1e-6 else float(ahead[0])
    left: Floats = np.cross(UP, ahead * np.sign(told))
    return left


def ankle_of(tree: Tree, chain: Sequence[int]) -> int:
    """The place in a leg's chain where the foot begins: the first joint that is low, the last one if none is."""
    heights = tree.spots[list(chain), 1]
    low = heights.min() + ANKLE * (heights[0] - heights.min())
    return next((place for place in range(2, len(chain)) if heights[place] <= low), len(chain) - 1)


def leg_names(tree: Tree, hip: int) -> dict[int, str]:
    """Thigh, shin, foot and toes."""
    chain = tree.chain(hip)
    ankle = ankle_of(tree, chain)
    names = {chain[0]: "thigh"}
    if ankle >= 2:
        knee = halfway(tree, chain[: ankle + 1])
        names |= {chain[knee]: "shin", chain[ankle]: "foot"}
        names |= {chain[ankle + 1]: "toes"} if ankle + 1 < len(chain) else {}
    elif ankle == 1:
        names[chain[1]] = "shin"
    return names


def arm_names(tree: Tree, shoulder: int) -> dict[int, str]:
    """Clavicle, if there is one, arm, forearm and hand; fingers keep their numbers."""
    chain = tree.chain(shoulder)
    fork = next((place for place, joint in enumerate(chain) if place and len(tree.skeleton.children[joint]) > 1), None)
    names: dict[int, str] = {}
    short = len(chain) > 2 and tree.length(chain[0], chain[1]) < SHORT * tree.length(chain[1], chain[2])
    if fork == 3 or (fork is None and len(chain) > 3 and short):
        names[chain[0]] = "clavicle"
        chain, fork = chain[1:], None if fork is None else fork - 1
    hand = fork if fork is not None and fork >= 2 else min(2, len(chain) - 1)
    names[chain[0]] = "arm"
    if hand >= 2:
        names |= {chain[halfway(tree, chain[: hand + 1])]: "forearm", chain[hand]: "hand"}
    elif hand == 1:
        names[chain[1]] = "forearm"
    return names


def halfway(tree: Tree, chain: Sequence[int]) -> int:
    """The place of the joint between the ends of a chain that is nearest to its middle."""
    whole = tree.stretch(chain)
    return min(range(1, len(chain) - 1), key=lambda place: abs(tree.stretch(chain[: place + 1]) - whole / 2))
