"""What a motion session can be told besides text: whose body it is, and a curve to follow."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from unreel.engine.errors import UserError
from unreel.engine.types import Chunk
from unreel.modalities.motion.body import BODY, proportions
from unreel.modalities.motion.path import TOLD
from unreel.modalities.skeleton.skeleton import Skeleton

FASTEST = 12.0  # metres per second
POINTS = 10_000


class BodyCondition:
    """Whose body moves: a skeleton, or its proportions (`body.proportions`). Told as natural logarithms (22,)."""

    def check(self, value: Any) -> list[float]:
        if isinstance(value, Skeleton):
            value = proportions(value)
        try:
            ratio = torch.as_tensor(value, dtype=torch.float64)
        except (TypeError, ValueError, RuntimeError):
            raise UserError(f"a body is a skeleton or {len(BODY)} proportions, got {value!r}") from None
        if ratio.shape != (len(BODY),) or not bool(((ratio >= 0.1) & (ratio <= 10)).all()):
            raise UserError(f"a body has {len(BODY)} proportions of 0.1 to 10, got {tuple(ratio.shape)}")
        numbers: list[float] = ratio.tolist()
        return numbers

    def encode(self, value: Any, chunk: Chunk, since: int) -> Tensor:
        return self.null(chunk) if value is None else torch.tensor(value).log().float()

    def null(self, chunk: Chunk) -> Tensor:
        return torch.zeros(len(BODY))


class PathCondition:
    """A curve on the ground: points ``[[x, z], ...]`` in metres from where the session begins (it faces +Z), or

    ``{"points": ..., "speed": metres per second, "closed": whether the end leads back to the beginning}``. The codec
    turns it into what is told (`path.ahead`); None sends the model where it likes.
    """

    speed = 1.2

    def check(self, value: Any) -> dict[str, Any] | None:
        """The curve with its points, speed and whether it is closed.

        Raises:
            UserError: no curve, or one that goes nowhere.
        """
        if value is None:
            return None
        wish = dict(value) if isinstance(value, dict) else {"points": value}
        points, speed, closed = wish.pop("points", None), wish.pop("speed", self.speed), wish.pop("closed", False)
        if wish:
            raise UserError(f"a path has points, speed and closed; got {', '.join(map(str, wish))}")
        if isinstance(speed, bool) or not isinstance(speed, int | float) or not 0 < speed <= FASTEST:
            raise UserError(f"the speed of a path is above 0 and at most {FASTEST:g} metres per second, got {speed!r}")
        if not isinstance(closed, bool):
            raise UserError(f"closed of a path is true or false, got {closed!r}")
        places = self._places(points)
        return {"points": places, "speed": float(speed), "closed": closed}

    def _places(self, points: Any) -> list[list[float]]:
        try:
            places = [[float(x), float(z)] for x, z in points]
        except (TypeError, ValueError):
            raise UserError(f"a path is a list of points [x, z] in metres, got {str(points)[:80]}") from None
        if not 2 <= len(places) <= POINTS or not all(math.isfinite(number) for place in places for number in place):
            raise UserError(f"a path has 2 to {POINTS} points of finite numbers, got {len(places)}")
        apart = [math.dist(a, b) for a, b in zip(places, places[1:], strict=False)]
        if sum(apart) < 0.01:
            raise UserError("the points of a path are all in one place; give at least two that are apart")
        return places

    def encode(self, value: Any, chunk: Chunk, since: int) -> Tensor:
        """The curve as it was sent (1 + points, 2), speed and closed first: not yet as the model is told it."""
        if value is None:
            return self.null(chunk)
        return torch.tensor([[value["speed"], float(value["closed"])], *value["points"]], dtype=torch.float64)

    def null(self, chunk: Chunk) -> Tensor:
        return torch.zeros(TOLD)
