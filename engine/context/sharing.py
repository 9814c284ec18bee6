"""What several sessions hold together: a tensor that many of them refer to lies in memory once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes of contexts: ``shared`` by two holders or more and counted once, ``own`` of one holder alone.

    ``apart`` is what the same holders would take if nothing were shared.
    """

    shared: int = 0
    own: int = 0
    apart: int = 0

    @property
    def total(self) -> int:
        return self.shared + self.own


def held(holders: Iterable[Iterable[Tensor]]) -> Held:
    """The bytes of all tensors that some holders refer to."""
    sizes: dict[int, int] = {}
    owners: Counter[int] = Counter()
    for holder in holders:
        mine = {tensor.data_ptr(): tensor.nbytes for tensor in holder}
        sizes |= mine
        owners.update(mine.keys())
    shared = sum(size for place, size in sizes.items() if owners[place] > 1)
    apart = sum(size * owners[place] for place, size in sizes.items())
    return Held(shared, sum(sizes.values()) - shared, apart)
