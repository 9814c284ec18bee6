"""A skeleton: named joints in a tree, their rest pose, and where a pose puts them."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from unreel.engine.errors import UserError
from unreel.modalities.skeleton.kinematics import Ints, forward, world_turns
from unreel.modalities.skeleton.rotations import Floats, from_matrix, nearest_rotation, unit


@dataclass(frozen=True, eq=False)
class Skeleton:
    """Joints in an order where parents come first; joint 0 is the only root and its parent is -1.

    ``translations`` (J, 3) in metres and ``rotations`` (J, 4) xyzw are the rest pose relative to the parent; for the
    root relative to the world. There is no scale: readers work it into the translations. Arrays are not to be written
    to.
    """

    names: tuple[str, ...]
    parents: Ints
    translations: Floats
    rotations: Floats

    def __post_init__(self) -> None:
        count = len(self.names)
        parents = np.asarray(self.parents, np.int64)
        if count == 0 or parents.shape != (count,) or parents[0] != -1:
            raise UserError(
                f"a skeleton has a parent for each of its {count} joints, the first -1; got {parents.tolist()}"
            )
        if np.any(parents[1:] < 0) or np.any(parents >= np.arange(count)):
            raise UserError("a skeleton has one root, and parents come before children; order it with `ordered` first")
        if len(set(self.names)) != count:
            raise UserError("joints of a skeleton have different names; make them so with `unique_names` first")
        translations = np.asarray(self.translations, np.float32)
        rotations = np.asarray(self.rotations, np.float32)
        if translations.shape != (count, 3) or rotations.shape != (count, 4):
            raise UserError(
                f"{count} joints have translations ({count}, 3) and rotations ({count}, 4), "
                f"got {translations.shape} and {rotations.shape}"
            )
        if not (np.isfinite(translations).all() and np.isfinite(rotations).all()):
            raise UserError("the rest pose of a skeleton is finite; got NaN or infinity")
        object.__setattr__(self, "parents", parents)
        object.__setattr__(self, "translations", translations)
        object.__setattr__(self, "rotations", unit(rotations))

    @classmethod
    def from_globals(cls, names: Sequence[str], parents: Ints, globals_J44: Floats) -> Skeleton:
        """The skeleton whose joints rest at these world matrices; scale and shear are left out of the rotations."""
        spot = np.asarray(globals_J44, np.float64)
        turn = nearest_rotation(spot[:, :3, :3])
        above = np.asarray(parents, np.int64)
        has = (above >= 0)[:, None]
        base_turn = np.where(has[..., None], turn[above], np.eye(3))
        base_spot = np.where(has, spot[above, :3, 3], 0.0)
        back = base_turn.transpose(0, 2, 1)
        translations = (back @ (spot[:, :3, 3] - base_spot)[..., None])[..., 0]
        return cls(tuple(names), above, translations, from_matrix(back @ turn))

    @classmethod
    def from_positions(cls, names: Sequence[str], parents: Ints, positions_J3: Floats) -> Skeleton:
        """The skeleton with joints at these world positions and all rotations identity."""
        matrices = np.tile(np.eye(4), (len(names), 1, 1))
        matrices[:, :3, 3] = positions_J3
        return cls.from_globals(names, parents, matrices)

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def globals(self) -> Floats:
        """Rest world matrices (J, 4, 4), float32."""
        pose: Floats = forward(self.parents, self.translations, self.rotations)
        return pose

    @property
    def positions(self) -> Floats:
        """Rest world positions (J, 3) in metres."""
        return self.globals[:, :3, 3]

    @property
    def turns(self) -> Floats:
        """Rest world rotations (J, 4)."""
        return world_turns(self.parents, self.rotations)

    @property
    def inverse_binds(self) -> Floats:
        """What takes a rest world point into each joint's frame: (J, 4, 4)."""
        return np.linalg.inv(self.globals.astype(np.float64)).astype(np.float32)

    @property
    def bones(self) -> Ints:
        """Pairs (J - 1, 2) of parent and child, in the order of the children."""
        return np.stack([self.parents[1:], np.arange(1, len(self))], -1)

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """The children of every joint, in joint order."""
        found: list[list[int]] = [[] for _ in self.names]
        for child, parent in enumerate(self.parents[1:], 1):
            found[parent].append(child)
        return tuple(map(tuple, found))

    @cached_property
    def depths(self) -> Ints:
        """Steps from the root (J,)."""
        depths = np.zeros(len(self), np.int64)
        for joint in range(1, len(self)):
            depths[joint] = depths[self.parents[joint]] + 1
        return depths

    @property
    def size(self) -> float:
        """The longest side of the box around the rest joints, in metres."""
        return float(np.ptp(self.positions, axis=0).max())

    def index(self, name: str) -> int:
        """The number of the joint of that name, or UserError."""
        if name not in self.names:
            raise UserError(f"no joint is called {name!r}; there are {', '.join(self.names)}")
        return self.names.index(name)

    def subtree(self, joint: int) -> Ints:
        """A joint and everything below it, in joint order."""
        inside = np.zeros(len(self), bool)
        inside[joint] = True
        for child in range(joint + 1, len(self)):
            inside[child] = inside[self.parents[child]]
        return np.flatnonzero(inside)

    def breadth_first(self) -> tuple[Skeleton, Ints]:
        """The same skeleton level by level, siblings in their order, and ``order`` with ``order[new] = old``."""
        return self.take(np.argsort(self._breadth_key(), kind="stable"))

    def _breadth_key(self) -> Ints:
        """Where each joint comes in a walk level by level (J,)."""
        walk, key = [0], np.zeros(len(self), np.int64)
        for place, joint in enumerate(walk):
            key[joint] = place
            walk.extend(self.children[joint])
        return key

    def take(self, keep: Sequence[int] | Ints) -> tuple[Skeleton, Ints]:
        """The skeleton of some joints, each hung on its nearest kept ancestor; the world rest pose stays.

        Joints of ``keep`` come in that order as far as parents allow. Raises UserError when they have no common kept
        root.
        """
        kept = {int(old) for old in keep}
        parents = {}
        for old in kept:
            above = int(self.parents[old])
            while above >= 0 and above not in kept:
                above = int(self.parents[above])
            parents[old] = above
        return self._rebuilt([int(old) for old in keep], parents)

    def rerooted(self, joint: int) -> tuple[Skeleton, Ints]:
        """The same joints in the same places, hung on ``joint`` as the root; and ``order[new] = old``."""
        parents = {old: int(above) for old, above in enumerate(self.parents)}
        below, here = -1, joint
        while here >= 0:
            above = int(self.parents[here])
            parents[here], below, here = below, here, above
        return self._rebuilt(list(range(len(self))), parents)

    def rehung(self, changes: dict[int, int]) -> tuple[Skeleton, Ints]:
        """The same joints in the same places, some (the keys) hung on another parent; and ``order[new] = old``."""
        parents = {old: int(above) for old, above in enumerate(self.parents)} | changes
        return self._rebuilt(list(range(len(self))), parents)

    def _rebuilt(self, keep: list[int], parents: dict[int, int]) -> tuple[Skeleton, Ints]:
        order = ordered({old: parents[old] for old in keep})
        place = {old: new for new, old in enumerate(order)}
        above = np.asarray([place.get(parents[old], -1) for old in order])
        names = [self.names[old] for old in order]
        return Skeleton.from_globals(names, above, self.globals[order]), np.asarray(order)

    def scaled(self, factor: float) -> Skeleton:
        """The skeleton grown around the world's origin."""
        return replace(self, translations=self.translations * np.float32(factor))

    def moved(self, offset: Floats) -> Skeleton:
        """The skeleton shifted by ``offset`` (3,) metres."""
        translations = self.translations.copy()
        translations[0] += np.asarray(offset, np.float32)
        return replace(self, translations=translations)


def ordered(parents: dict[int, int]) -> list[int]:
    """The keys with parents before children, otherwise in their order; UserError for circles and for several roots.

    A parent that is no key makes its child a root.
    """
    children: dict[int, list[int]] = {}
    roots = [joint for joint, parent in parents.items() if parent not in parents]
    for joint, parent in parents.items():
        children.setdefault(parent, []).append(joint)
    if len(roots) != 1:
        raise UserError(f"a skeleton has one root; these {len(parents)} joints have {len(roots)}")
    rank = {joint: place for place, joint in enumerate(parents)}
    waiting, order = [(0, roots[0])], []
    while waiting:
        order.append(heapq.heappop(waiting)[1])
        for child in children.get(order[-1], ()):
            heapq.heappush(waiting, (rank[child], child))
    if len(order) != len(parents):
        raise UserError(f"joints hang on each other in a circle: only {len(order)} of {len(parents)} reach the root")
    return order


def unique_names(names: Iterable[str | None]) -> list[str]:
    """The names, nameless ones called "joint", repeated ones numbered: hip, hip.1, hip.2."""
    taken: set[str] = set()
    result = []
    for name in names:
        base = name or "joint"
        new, number = base, 1
        while new in taken:
            new, number = f"{base}.{number}", number + 1
        taken.add(new)
        result.append(new)
    return result
