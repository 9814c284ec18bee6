"""The context of one guidance branch: keys and values of finished chunks, addressed by chunk.

Everything stored is immutable: a fork copies tuples, never tensors, and nobody can write into a neighbour's
past. Keys are stored unrotated and rotated once per commit to positions relative to the newest chunk,
so that evicted chunks leave no holes and positions never run out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from unreel.engine.interfaces import ContextPolicy
from unreel.engine.rope import Rope, rotate
from unreel.engine.types import KV, Chunk


@dataclass(frozen=True, slots=True)
class Segment:
    """What one chunk left in one layer and head group: keys and values (N, H, D), coordinates (N, 1 or H, A).

    ``queries`` are a few of the chunk's query tokens (M, H, D), for policies that score by attention.
    """

    chunk: Chunk
    k_NHD: Tensor
    v_NHD: Tensor
    coords_NHA: Tensor
    queries_MHD: Tensor | None = None

    @property
    def tokens(self) -> int:
        return self.k_NHD.shape[0]

    @property
    def bytes(self) -> int:
        held = (self.k_NHD, self.v_NHD) if self.queries_MHD is None else (self.k_NHD, self.v_NHD, self.queries_MHD)
        return sum(t.numel() * t.element_size() for t in held)


@dataclass(frozen=True, slots=True)
class HeadGroup:
    """Heads of one layer that keep the same tokens. ``heads`` empty means all of them, in order."""

    heads: tuple[int, ...]
    segments: tuple[Segment, ...] = ()


@dataclass
class Context:
    """All layers of one branch. Mutable, but only by replacing groups; see ``fork``."""

    policy: ContextPolicy
    rope: Rope
    layers: list[tuple[HeadGroup, ...]]
    end: int = 0  # first latent frame after the newest commit: the anchor of all positions
    _rotated: dict[tuple[int, int], tuple[Tensor, Tensor]] = field(default_factory=dict, repr=False)

    @classmethod
    def empty(cls, policy: ContextPolicy, rope: Rope, layers: int, heads: int) -> Context:
        groups: list[tuple[HeadGroup, ...]] = []
        for layer in range(layers):
            parts = policy.groups(layer, heads)
            whole = len(parts) == 1
            groups.append(tuple(HeadGroup(() if whole else tuple(p)) for p in parts))
        return cls(policy, rope, groups)

    def fork(self, with_rotated: bool = True) -> Context:
        """An independent context that shares every tensor; rotated copies only ``with_rotated``."""
        return Context(self.policy, self.rope, list(self.layers), self.end, dict(self._rotated) if with_rotated else {})

    def commit(self, chunk: Chunk, kv: KV, coords_LA: Tensor, queries: Sequence[Tensor] | None = None) -> None:
        """Add a finished chunk's keys and values (per layer (L, H, D)), then let the policy compact."""
        coords = coords_LA[:, None, :]
        for layer, (k, v) in enumerate(kv):
            q = None if queries is None else queries[layer]
            self.layers[layer] = tuple(self._grown(group, chunk, k, v, coords, q) for group in self.layers[layer])
        self.end = max(self.end, chunk.start + chunk.frames)
        self._rotated.clear()
        self.policy.compact(self)

    @staticmethod
    def _grown(group: HeadGroup, chunk: Chunk, k: Tensor, v: Tensor, coords: Tensor, q: Tensor | None) -> HeadGroup:
        if group.heads:
            index = torch.tensor(group.heads, device=k.device)
            k, v = k[:, index], v[:, index]
            q = None if q is None else q[:, index]
        segment = Segment(chunk, k, v, coords, q)
        return HeadGroup(group.heads, (*group.segments, segment))

    def rotated(self, layer: int, group_index: int) -> tuple[Tensor, Tensor]:
        """Keys rotated to their window-relative positions, and values, of one head group: (N, H, D) each."""
        key = (layer, group_index)
        if key not in self._rotated:
            group = self.layers[layer][group_index]
            keys = [rotate(s.k_NHD, self.rope.angles(self.positions(s))) for s in group.segments]
            self._rotated[key] = (torch.cat(keys), torch.cat([s.v_NHD for s in group.segments]))
        return self._rotated[key]

    def positions(self, segment: Segment) -> Tensor:
        """Coordinates (N, 1 or H, A) on the axes of the next call: time counted back from ``end``."""
        return placed(segment.coords_NHA, self.offset(segment.chunk.start))

    def offset(self, start: int) -> int:
        """Where a chunk that starts at latent frame ``start`` lies in time, relative to ``end``."""
        behind = start - self.end
        horizon = self.policy.horizon
        return behind if horizon is None else max(behind, -horizon)

    @property
    def bytes(self) -> int:
        """Bytes of kept keys, values and queries (rotated copies, which live for one chunk, not counted)."""
        return sum(s.bytes for groups in self.layers for g in groups for s in g.segments)

    @property
    def chunks(self) -> set[int]:
        """Indices of the chunks of which anything is kept."""
        return {s.chunk.index for groups in self.layers for g in groups for s in g.segments}


def placed(coords_NHA: Tensor, time: int) -> Tensor:
    """``coords`` moved by ``time`` along axis 0."""
    moved = coords_NHA.clone()
    moved[..., 0] += time
    return moved
