"""The context of one guidance branch: keys and values of finished chunks, addressed by chunk.

Everything stored is immutable: a fork copies tuples, never tensors, and nobody can write into a neighbour's
past. Keys are stored unrotated and rotated to positions relative to the newest chunk, so that evicted chunks leave
no holes and positions never run out: once per commit, or once per call where rotated copies would break a budget.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from unreel.engine.context.budget import fit
from unreel.engine.context.storage import Storage, unpack
from unreel.engine.interfaces import ContextPolicy
from unreel.engine.rope import Angles, Rope, rotate
from unreel.engine.types import KV, Chunk


@dataclass(frozen=True, slots=True)
class Segment:
    """What one chunk left in one layer and head group: keys and values (N, H, D), coordinates (N, 1 or H, A).

    ``queries`` are a few of the chunk's query tokens (M, H, D), for policies that score by attention;
    ``k_scale`` and ``v_scale`` (1, H, D) open packed keys and values. A whole chunk's coordinates are shared by all
    layers; those of picked tokens are the segment's own, in int16.
    """

    chunk: Chunk
    k_NHD: Tensor
    v_NHD: Tensor
    coords_NHA: Tensor
    queries_MHD: Tensor | None = None
    k_scale: Tensor | None = None
    v_scale: Tensor | None = None
    bytes: int = field(init=False, repr=False, compare=False)  # of ``tensors``, counted once: every step asks

    def __post_init__(self) -> None:
        object.__setattr__(self, "bytes", sum(tensor.nbytes for tensor in self.tensors))

    @property
    def tokens(self) -> int:
        return self.k_NHD.shape[0]

    @property
    def picked(self) -> bool:
        """Whether some tokens of the chunk are gone."""
        return self.coords_NHA.dtype == torch.int16

    @property
    def tensors(self) -> list[Tensor]:
        """Those that live as long as this segment."""
        coords = self.coords_NHA if self.picked else None
        held = (self.k_NHD, self.v_NHD, coords, self.queries_MHD, self.k_scale, self.v_scale)
        return [tensor for tensor in held if tensor is not None]

    def keys(self, dtype: torch.dtype | None = None) -> Tensor:
        return unpack(self.k_NHD, self.k_scale, dtype)

    def values(self, dtype: torch.dtype | None = None) -> Tensor:
        return unpack(self.v_NHD, self.v_scale, dtype)

    def pick(self, index: Tensor) -> Segment:
        """Only the tokens ``index``, in that order: (n,) for all heads alike, or (n, H) for each head its own."""
        k, v, coords = self.k_NHD, self.v_NHD, self.coords_NHA
        if index.dim() == 1:
            return replace(self, k_NHD=k[index], v_NHD=v[index], coords_NHA=coords[index].to(torch.int16))
        wide = index[:, :, None].expand(-1, -1, k.shape[2])
        places = coords.expand(-1, k.shape[1], -1).to(torch.int16)
        places = places.gather(0, index[:, :, None].expand(-1, -1, coords.shape[2]))
        return replace(self, k_NHD=k.gather(0, wide), v_NHD=v.gather(0, wide), coords_NHA=places)

    def without_queries(self) -> Segment:
        return self if self.queries_MHD is None else replace(self, queries_MHD=None)


@dataclass(frozen=True, slots=True)
class HeadGroup:
    """Heads of one layer that keep the same number of tokens. ``heads`` empty means all of them, in order."""

    heads: tuple[int, ...]
    segments: tuple[Segment, ...] = ()


@dataclass
class Context:
    """All layers of one branch. Mutable, but only by replacing groups; see ``fork``.

    ``budget`` is the most bytes it may hold between two steps; None is no limit.
    """

    policy: ContextPolicy
    rope: Rope
    layers: list[tuple[HeadGroup, ...]]
    end: int = 0  # first latent frame after the newest commit: the anchor of all positions
    storage: Storage = Storage()
    budget: int | None = None
    begin: int = 0  # first latent frame of the world that it remembers: where sinks are
    _rotated: dict[tuple[int, int], Tensor] = field(default_factory=dict, repr=False)
    _angles: dict[tuple[int, ...], Angles] = field(default_factory=dict, repr=False)  # shared by layers that keep alike

    @classmethod
    def empty(
        cls,
        policy: ContextPolicy,
        rope: Rope,
        layers: int,
        heads: int,
        storage: Storage | None = None,
        budget: int | None = None,
    ) -> Context:
        groups = []
        for layer in range(layers):
            parts = policy.groups(layer, heads)
            whole = len(parts) == 1
            groups.append(tuple(HeadGroup(() if whole else tuple(p)) for p in parts))
        return cls(policy, rope, groups, 0, storage or Storage(), budget)

    def fork(self, with_rotated: bool = True) -> Context:
        """An independent context that shares every tensor; ``with_rotated`` those as well that are rotated later, by
        whichever needs them first, until one of the two commits."""
        rotated = self._rotated if with_rotated else {}
        return replace(self, layers=list(self.layers), _rotated=rotated, _angles={})

    def commit(self, chunk: Chunk, kv: KV, coords_LA: Tensor, queries: Sequence[Tensor] | None = None) -> None:
        """Add a finished chunk's keys and values (per layer (L, H, D)), then let the policy compact.

        Raises:
            UserError: the budget does not hold one chunk.
        """
        coords = coords_LA[:, None, :]
        self._rotated, self._angles = {}, {}
        for layer, (k, v) in enumerate(kv):
            q = None if queries is None or not self.policy.queries else queries[layer]
            self.layers[layer] = tuple(self._grown(group, chunk, k, v, coords, q) for group in self.layers[layer])
        if not chunk.given:  # what is given of the time to come does not move the clock
            self.end = max(self.end, chunk.start + chunk.frames)
        self.policy.compact(self)
        if self.budget is not None:
            fit(self, self.budget)

    def _grown(
        self, group: HeadGroup, chunk: Chunk, k: Tensor, v: Tensor, coords: Tensor, q: Tensor | None
    ) -> HeadGroup:
        if group.heads:
            index = torch.tensor(group.heads, device=k.device)
            k, v = k[:, index], v[:, index]
            q = None if q is None else q[:, index]
        (k, k_scale), (v, v_scale) = self.storage.pack(k), self.storage.pack(v)
        return HeadGroup(group.heads, (*group.segments, Segment(chunk, k, v, coords, q, k_scale, v_scale)))

    def drop(self, chunks: set[int]) -> None:
        """Forget everything of these chunks."""
        if not chunks & self.chunks:
            return
        self._rotated, self._angles = {}, {}
        for layer, groups in enumerate(self.layers):
            kept = ((g.heads, tuple(s for s in g.segments if s.chunk.index not in chunks)) for g in groups)
            self.layers[layer] = tuple(HeadGroup(*group) for group in kept)

    @property
    def lean(self) -> bool:
        """Whether keys are opened and rotated in every call instead of being kept rotated as well."""
        return self.storage.lean or self.budget is not None

    def rotated(self, layer: int, group_index: int, dtype: torch.dtype | None = None) -> Tensor:
        """Keys (N, H, D) of one head group, rotated to their window-relative positions."""
        key = (layer, group_index)
        if key in self._rotated:
            return self._rotated[key]
        segments = self.layers[layer][group_index].segments
        turned = rotate(torch.cat([s.keys(dtype) for s in segments]), self._turned(segments))
        if not self.lean:
            self._rotated[key] = turned
        return turned

    def values(self, layer: int, group_index: int, dtype: torch.dtype | None = None) -> list[Tensor]:
        """Values of one head group, chunk by chunk: (n, H, D) each."""
        return [segment.values(dtype) for segment in self.layers[layer][group_index].segments]

    def _turned(self, segments: Sequence[Segment]) -> Angles:
        alike = tuple(id(s.coords_NHA) for s in segments)
        if alike in self._angles:
            return self._angles[alike]
        positions = [self.positions(s) for s in segments]
        heads = max(p.shape[1] for p in positions)
        angles = self.rope.angles(torch.cat([p.expand(-1, heads, -1) for p in positions]))
        if not any(s.picked for s in segments):
            self._angles[alike] = angles
        return angles

    def positions(self, segment: Segment) -> Tensor:
        """Coordinates (N, 1 or H, A) on the axes of the next call: time counted back from ``end``."""
        return placed(segment.coords_NHA, self.offset(segment.chunk.start))

    def offset(self, start: int) -> int:
        """Where a chunk that starts at latent frame ``start`` lies in time, relative to ``end``."""
        behind = start - self.end
        horizon = self.policy.horizon
        return behind if horizon is None else max(behind, -horizon)

    @property
    def world(self) -> tuple[int, int]:
        """The first latent frame of what is remembered, and the first after it."""
        return self.begin, self.end

    @property
    def bytes(self) -> int:
        """Bytes of all that is held between two steps, rotated copies included."""
        held = sum(s.bytes for groups in self.layers for g in groups for s in g.segments)
        return held + sum(keys.nbytes for keys in self._rotated.values())

    @property
    def tensors(self) -> list[Tensor]:
        """All that is held between two steps, rotated copies included."""
        held = [t for groups in self.layers for g in groups for s in g.segments for t in s.tensors]
        return held + list(self._rotated.values())

    @property
    def chunks(self) -> set[int]:
        """Indices of the chunks of which anything is kept."""
        return {chunk.index for chunk in self.spans}

    @property
    def spans(self) -> set[Chunk]:
        """The chunks of which anything is kept."""
        return {s.chunk for groups in self.layers for g in groups for s in g.segments}


def placed(coords_NHA: Tensor, time: int) -> Tensor:
    """``coords`` moved by ``time`` along axis 0, in int64."""
    moved = coords_NHA.to(torch.int64, copy=True)
    moved[..., 0] += time
    return moved


def query_stride(tokens: int, queries: int) -> int:
    """Every so many tokens of a chunk, one query is captured for a policy that wants ``queries`` of them."""
    return max(1, tokens // queries)
