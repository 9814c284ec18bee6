"""Classifier-free guidance (Ho & Salimans 2022) as named branches and one way to combine them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

MAIN, NULL = "main", "null"


@dataclass(frozen=True)
class Guidance:
    """``scale`` 1 needs one branch; any other adds a branch in which the conditions in ``drop`` are void."""

    scale: float = 1.0
    drop: tuple[str, ...] = ("action", "text")

    @property
    def branches(self) -> tuple[str, ...]:
        return (MAIN,) if self.scale == 1.0 else (MAIN, NULL)

    def drops(self, branch: str, condition: str) -> bool:
        return branch == NULL and condition in self.drop

    def combine(self, clean: Mapping[str, Tensor]) -> Tensor:
        """One clean prediction out of one per branch (linear, so the same in velocity or noise form)."""
        if self.scale == 1.0:
            return clean[MAIN]
        return clean[NULL] + self.scale * (clean[MAIN] - clean[NULL])
