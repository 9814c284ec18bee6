"""Two or more trainers on one machine that meet now and then to average their weights (local SGD).

On a shared machine this keeps every core busy without a barrier: nobody waits for anybody.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor


class Peers:
    """Exchange of weights through files in ``folder``; ``rank`` of ``count`` is this trainer's own."""

    def __init__(self, folder: Path, rank: int, count: int) -> None:
        self.folder, self.rank, self.count = folder, rank, count
        self.seen = dict.fromkeys(range(count), -1)
        self.met = 0  # own step at the last meeting
        folder.mkdir(parents=True, exist_ok=True)

    @torch.no_grad()
    def meet(self, weights: Sequence[Tensor], step: int) -> int:
        """Publish ``weights`` and pull them towards those of every peer that has moved on; returns how many had.

        Each side counts by the steps it has made since the last meeting, so a starved peer pulls little.
        """
        own = {str(i): w.detach() for i, w in enumerate(weights)} | {"step": torch.tensor(step)}
        partial = self.folder / f"peer{self.rank}.tmp"
        torch.save(own, partial)
        moved, mine = 0, max(1, step - self.met)
        for peer in range(self.count):
            path = self.folder / f"peer{peer}.pt"
            if peer == self.rank or not path.exists():
                continue
            theirs = torch.load(path, weights_only=True)
            at, before = int(theirs["step"]), self.seen[peer]
            if at > before:
                gained = at - max(before, 0)
                torch._foreach_lerp_(
                    list(weights), [theirs[str(i)] for i in range(len(weights))], gained / (gained + mine)
                )
                self.seen[peer] = at
                moved += 1
        os.replace(partial, self.folder / f"peer{self.rank}.pt")
        self.met = step
        return moved
