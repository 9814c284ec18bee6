"""Choices in the midst of a pass: token models that draw level after level, each on top of what was drawn before.

The network asks ``view.draw`` with its scores; guidance of all branches and the sampler of the row's own session
decide, with that part of the chunk's noise that is its place's. Branches of a chunk go on with the same choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from unreel.engine.errors import UserError

if TYPE_CHECKING:
    from unreel.engine.generate import Work
    from unreel.engine.session import Session


@dataclass
class _Choice:
    """A chunk that is drawn: the row of each of its branches and its noise (places, K)."""

    session: Session
    rows: dict[str, int]
    noise_PK: Tensor


@dataclass
class Draws:
    """The choices of one backbone call. A chunk's state is one-hot (..., K); its places are counted in order."""

    chosen: list[_Choice] = field(default_factory=list)
    given: dict[int, Tensor] = field(default_factory=dict)  # row of a clean chunk -> its tokens (places,)

    @classmethod
    def of(cls, works: Sequence[Work]) -> Draws:
        """For the rows of these works, in the order in which a call has them.

        Raises:
            UserError: the sampler of a session draws nothing.
        """
        draws, at = cls(), 0
        for work in works:
            found: dict[int, _Choice] = {}
            for branch, rows in work.rows.items():
                for row in rows:
                    places = row.state.flatten(0, -2)
                    if row.item is None:
                        draws.given[at] = places.argmax(-1)
                    else:
                        found.setdefault(row.chunk.index, _Choice(work.session, {}, places)).rows[branch] = at
                    at += 1
            if found and not hasattr(work.session.sampler, "draw"):
                raise UserError(f"{work.session.model.name} draws tokens: its sampler must be `categorical`")
            draws.chosen += found.values()
        return draws

    def __call__(self, place: int, scores_RK: Tensor) -> Tensor:
        """The token (R,) of every row at ``place``: drawn, or, of rows that are clean, what it is."""
        tokens = torch.zeros(len(scores_RK), dtype=torch.long, device=scores_RK.device)
        for row, known in self.given.items():
            tokens[row] = known[place]
        for choice in self.chosen:
            scores_K = choice.session.guidance.combine({b: scores_RK[r].float() for b, r in choice.rows.items()})
            token = choice.session.sampler.draw(scores_K, choice.noise_PK[place])  # type: ignore[attr-defined]
            for row in choice.rows.values():
                tokens[row] = token
        return tokens
