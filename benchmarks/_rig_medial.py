"""A skeleton out of geometry alone: the middle lines of a solid, as TEASAR finds them (Sato et al. 2000).

The mesh is filled with cells; from the deepest one, shortest paths that like to stay inside lead to the farthest cells
not yet near a path. Joints stand at the ends, at the branchings and every so often between.
"""

from __future__ import annotations

import heapq

import numpy as np

from unreel.modalities.skeleton.kinematics import Ints
from unreel.modalities.skeleton.rotations import Floats

CELLS = 40  # along the longest side
BRANCHES = 12
BONE = 0.12  # longest bone, of the longest side
STEPS = np.asarray([(x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if x or y or z])


def medial_skeleton(points: Floats) -> tuple[Floats, Ints]:
    """Joints (J, 3) and parents (J,), the root first with parent -1, of dense surface points in the unit box."""
    solid = filled(points)
    depth = depths(solid)
    places = np.argwhere(solid)
    number = np.full(solid.shape, -1)
    number[tuple(places.T)] = np.arange(len(places))
    deep = depth[tuple(places.T)]
    root = int(deep.argmax())
    cost = 1.0 + 200.0 * (1 - deep / (deep.max() + 0.5)) ** 8
    far, _ = shortest(places, number, np.ones(len(places)), root)
    _, before = shortest(places, number, cost, root)
    lines = paths(places, deep, far, before, root)
    joints, parents = simplified(lines, places)
    return (joints + 0.5) / CELLS - 0.5 - 1.0 / CELLS, parents


def filled(points: Floats) -> np.ndarray:
    """Cells (CELLS + 2 a side) that the surface touches or encloses; a hole wider than a cell lets the inside out."""
    shell = np.zeros((CELLS + 2,) * 3, bool)
    at = np.clip(np.floor((points + 0.5) * CELLS).astype(int), 0, CELLS - 1) + 1
    shell[tuple(at.T)] = True
    outside = np.zeros_like(shell)
    outside[0], outside[-1], outside[:, 0], outside[:, -1], outside[:, :, 0], outside[:, :, -1] = (True,) * 6
    while True:
        grown = outside & ~shell
        for axis in range(3):
            for shift in (-1, 1):
                grown |= np.roll(outside, shift, axis)
        grown &= ~shell
        if (grown == outside).all():
            return ~outside
        outside = grown


def depths(solid: np.ndarray) -> Floats:
    """How many cells must be peeled off before a cell is reached, corners at every second peel."""
    depth, left, turn = np.zeros(solid.shape), solid.copy(), 0
    while left.any():
        depth[left] += 1
        kept = left.copy()
        for step in STEPS:
            if turn % 2 or np.abs(step).sum() == 1:
                kept &= np.roll(left, step, (0, 1, 2))
        left, turn = kept, turn + 1
    return depth


def shortest(places: Ints, number: Ints, cost: Floats, root: int) -> tuple[Floats, Ints]:
    """Length of the cheapest way from the root to every cell (infinite without one), and the cell before on it."""
    length, before = np.full(len(places), np.inf), np.full(len(places), -1)
    length[root] = 0.0
    waiting = [(0.0, root)]
    reach = np.linalg.norm(STEPS, axis=1)
    while waiting:
        here, cell = heapq.heappop(waiting)
        if here > length[cell]:
            continue
        beside = number[tuple((places[cell] + STEPS).T)]
        inside = beside >= 0
        new = here + reach[inside] * cost[beside[inside]]
        for other, way in zip(beside[inside].tolist(), new.tolist(), strict=True):
            if way < length[other]:
                length[other], before[other] = way, cell
                heapq.heappush(waiting, (way, other))
    return length, before


def paths(places: Ints, deep: Floats, far: Floats, before: Ints, root: int) -> list[list[int]]:
    """Lines of cells, each from a cell of an earlier line (at first the root) to a tip."""
    covered, taken = ~np.isfinite(far), {root}
    cover(covered, places, deep, [root])
    lines: list[list[int]] = []
    while not covered.all() and len(lines) < BRANCHES:
        tip = int(np.where(covered, -1.0, far).argmax())
        line = [tip]
        while line[-1] not in taken:
            line.append(int(before[line[-1]]))
        taken.update(line)
        cover(covered, places, deep, line)
        lines.append(line[::-1])
    return lines or [[root]]


def cover(covered: np.ndarray, places: Ints, deep: Floats, line: list[int]) -> None:
    """Mark the cells around a line; changes ``covered``."""
    for cell in line:
        near = ((places - places[cell]) ** 2).sum(1) <= (1.8 * deep[cell] + 2.0) ** 2
        covered |= near


def simplified(lines: list[list[int]], places: Ints) -> tuple[Floats, Ints]:
    """Joints at ends and branchings of lines and evenly between, no bone longer than ``BONE``."""
    forks = {line[0] for line in lines}
    known: dict[int, int] = {}
    joints: list[Floats] = []
    parents: list[int] = []

    def joint(cell: int, parent: int) -> int:
        if cell not in known:
            known[cell] = len(joints)
            joints.append(places[cell].astype(float))
            parents.append(parent)
        return known[cell]

    for line in lines:
        parent = joint(line[0], -1)
        stops = [0, *(place for place in range(1, len(line) - 1) if line[place] in forks), len(line) - 1]
        for start, stop in zip(stops, stops[1:], strict=False):
            pieces = max(1, round((stop - start) / (BONE * CELLS)))
            for piece in range(1, pieces + 1):
                parent = joint(line[start + (stop - start) * piece // pieces], parent)
    return np.stack(joints), np.asarray(parents)
