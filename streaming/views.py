"""Uploaded views and meshes by name, for as long as somebody may want to begin from them. Pure."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from unreel.engine.errors import UserError

HELD = 600_000_000  # bytes of all views together


@dataclass(frozen=True, slots=True)
class Kept:
    """A view that was uploaded; ``value`` is what the control ``view`` of ``model`` takes, or a mesh as ``shape``."""

    model: str
    value: Mapping[str, Any]
    until: float


class Views:
    """Uploaded views by name; ``most`` at once and ``HELD`` bytes, each for ``keep_s``. Lives on the loop."""

    def __init__(
        self, secret: Callable[[], str], keep_s: float = 600.0, most: int = 16,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.secret, self.keep_s, self.most, self.clock = secret, keep_s, most, clock
        self.kept: dict[str, Kept] = {}

    def put(self, model: str, value: Mapping[str, Any]) -> str:
        """Keep a view; the oldest goes where there are too many."""
        now = self.clock()
        self.kept = {id: one for id, one in self.kept.items() if one.until > now}
        while self.kept and (len(self.kept) >= self.most or self._bytes() + _bytes(value) > HELD):
            del self.kept[next(iter(self.kept))]
        id = self.secret()
        self.kept[id] = Kept(model, value, now + self.keep_s)
        return id

    def _bytes(self) -> int:
        return sum(_bytes(one.value) for one in self.kept.values())

    def get(self, id: Any, model: str, kind: str = "view", path: str = "/v1/views") -> Mapping[str, Any] | None:
        """The view called ``id``; None for None, which takes a view away. ``kind`` and ``path`` are for the message.

        Raises:
            UserError: no such view, or it is too old, or of another model.
        """
        if id is None:
            return None
        one = self.kept.get(id) if isinstance(id, str) else None
        if one is None or one.until <= self.clock() or one.model != model:
            raise UserError(f"no {kind} with this name (it may be too old): upload it with POST {path}")
        return one.value


def _bytes(value: Mapping[str, Any]) -> int:
    return sum(int(getattr(part, "nbytes", 0)) for part in value.values())
