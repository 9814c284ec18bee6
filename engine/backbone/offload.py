"""Weights that stay in main memory and visit the device one block at a time, for models larger than it.

Slow but frugal: every call moves every block once. Untested on a GPU here for want of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn


class HomeBlocks(nn.ModuleList):
    """Blocks whose weights can be converted but never move; ``device`` is where they are computed."""

    def __init__(self, blocks: Iterable[nn.Module]) -> None:
        super().__init__(blocks)
        self.device = torch.device("cpu")
        for block in self:
            visit = _Visit(self)
            block.register_forward_pre_hook(visit.enter)
            block.register_forward_hook(visit.leave, always_call=True)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> HomeBlocks:
        super()._apply(lambda t: fn(t).to(t.device), recurse)  # type: ignore[no-untyped-call]
        return self


class _Visit:
    """Hooks of one block. The weights at home are never written to, so leaving is only letting go of the copies."""

    def __init__(self, blocks: HomeBlocks) -> None:
        self.blocks = blocks
        self.home: list[Tensor] = []

    def bring(self, home: Tensor) -> Tensor:
        return home.to(self.blocks.device, non_blocking=True)

    def enter(self, module: nn.Module, args: Any) -> None:
        self.home = [p.data for p in module.parameters()]
        for p in module.parameters():
            p.data = self.bring(p.data)

    def leave(self, module: nn.Module, args: Any, result: Any) -> None:
        for p, home in zip(module.parameters(), self.home, strict=True):
            p.data = home
        self.home = []
