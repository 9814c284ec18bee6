"""What stands in for a skipped step: a polynomial through the last computed clean predictions.

Predictions are exchanged as clean predictions, so order 0, the last one again, is at the same time the last velocity
again: a rectified flow that holds either moves along the same straight line (Euler; Liu et al. 2022, eq. 1), and
skipping k steps is exactly one step of k times the length. That is why order 0 can never beat taking fewer steps at
the same places. Order 1 follows the prediction's slope along time (TaylorSeer, Liu et al. 2025, first order), which
fewer steps cannot do; order 2 bends it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from torch import Tensor

from unreel.engine.errors import UserError
from unreel.engine.reuse.base import Item

ORDERS = {"clean": 0, "linear": 1, "quadratic": 2}
Points = tuple[tuple[float, Tensor], ...]  # computed (time, clean prediction), oldest first


class Replays:
    """The half of a reuse policy that remembers and replays. ``replay_as`` names the order."""

    replay_as: str
    reach: float

    def record(self, item: Item, clean: Tensor) -> None:
        """Keep as many computed predictions as the order asks for."""
        points: Points = item.memory.get("points", ())
        item.memory["points"] = (*points, (item.times[0], clean))[-(ORDERS[self.replay_as] + 1) :]

    def replay(self, item: Item) -> Tensor:
        return extrapolate(item.memory["points"], item.times[0], self.reach)


def check_replay(name: str, reach: float) -> None:
    """UserError for a replay that does not exist."""
    if reach < 0:
        raise UserError(f"reach must be 0 or more, got {reach}")
    if name not in ORDERS:
        raise UserError(f"replay_as must be one of {', '.join(ORDERS)}, got {name!r}")


def extrapolate(points: Points, time: float, reach: float = inf) -> Tensor:
    """The polynomial through ``points`` at ``time``, in Lagrange's form.

    It is followed for at most ``reach`` times the distance between the last two points and held from there on:
    a slope says little about what lies much further away than what it was measured over.
    """
    if len(points) == 1:
        return points[0][1]
    last, before = points[-1][0], points[-2][0]
    weights = lagrange([t for t, _ in points], min(time, last + reach * (last - before)))
    total = points[0][1] * weights[0]
    for (_, clean), weight in zip(points[1:], weights[1:], strict=True):
        total = total + clean * weight
    return total


def lagrange(times: Sequence[float], time: float) -> list[float]:
    """Weights of values at ``times`` for the value at ``time``; they add up to 1."""
    weights = []
    for i, own in enumerate(times):
        weight = 1.0
        for j, other in enumerate(times):
            if j != i:
                weight *= (time - other) / (own - other)
        weights.append(weight)
    return weights
