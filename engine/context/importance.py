"""Importance-redundancy: keep the tokens that are looked at and unlike the rest (FlowCache's KV compression, R-KV)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from unreel.engine.context.budget import shares
from unreel.engine.context.keep import Parts, Structure, bank_tokens, split
from unreel.engine.context.score import Extent, extent_of, importance, pooled, redundancy
from unreel.engine.context.store import Context, HeadGroup, Segment, query_stride
from unreel.engine.errors import UserError
from unreel.engine.rope import rotate


@dataclass(frozen=True)
class Scoring:
    """score = mix * maxpool(importance) - (1 - mix) * redundancy, both adding up to 1 over a head's tokens.

    Every head keeps its own best tokens; how many of each chunk is common to the heads of a group, so that storage
    stays dense and addressed by chunk. It is dealt out in multiples of ``grain`` by where the heads' best lie.
    """

    mix: float = 0.07
    reach: int = 1
    grain: int = 8

    def __post_init__(self) -> None:
        if not 0 <= self.mix <= 1 or self.reach < 0 or self.grain < 1:
            raise UserError(
                f"scoring needs mix in 0..1, reach >= 0 and grain >= 1, got {self.mix}, {self.reach} and {self.grain}"
            )


@dataclass(frozen=True)
class ImportanceRedundancy:
    """Sink and recent frames, and a bank of the ``bank`` frames' worth of tokens per head with the highest scores.

    ``bank`` None keeps whatever ``budget_bytes`` has room for, everything where there is no budget either.
    """

    sink: int = 1
    recent: int = 4
    bank: float | None = None
    mix: float = 0.07
    reach: int = 1
    grain: int = 8
    queries: int = 64
    horizon: int | None = None

    def __post_init__(self) -> None:
        Structure(self.sink, self.recent)
        Scoring(self.mix, self.reach, self.grain)
        if self.queries < 1 or (self.bank is not None and self.bank < 0):
            raise UserError(f"queries must be >= 1 and bank >= 0 frames, got {self.queries} and {self.bank}")

    def groups(self, layer: int, heads: int) -> Sequence[tuple[int, ...]]:
        return [tuple(range(heads))]

    def compact(self, context: Context) -> None:
        structure, scoring = Structure(self.sink, self.recent), Scoring(self.mix, self.reach, self.grain)
        newest = context.layers[0][0].segments[-1]
        extent, wanted = extent_of(newest.coords_NHA), frames_to_tokens(self.bank, newest)
        parts = [[split(g.segments, context.world, structure, extent[0]) for g in gs] for gs in context.layers]
        heads = newest.k_NHD.shape[1]
        room = bank_tokens(context, [(p[0], heads) for p in parts], wanted, self.grain)
        for layer, (part,) in enumerate(parts):
            group = context.layers[layer][0]
            context.layers[layer] = (banked(context, group, part, room, extent, scoring),)


def frames_to_tokens(frames: float | None, segment: Segment) -> int | None:
    """Tokens in so many latent frames of a whole chunk."""
    return None if frames is None else round(frames * segment.tokens / segment.chunk.frames)


def banked(
    context: Context, group: HeadGroup, parts: Parts, room: int | None, extent: Extent, scoring: Scoring
) -> HeadGroup:
    """The group with its middle cut down to ``room`` tokens per head by score."""
    if room is None:
        return HeadGroup(group.heads, tuple(s.without_queries() for s in group.segments))
    middle = parts.middle
    if sum(s.tokens for s in middle) > room:
        scores = _scores(context, group, parts, extent, scoring) if room > 0 else []
        middle = _best(middle, scores, room, scoring.grain) if room > 0 else ()
    return HeadGroup(group.heads, tuple(s.without_queries() for s in (*parts.sink, *middle, *parts.recent)))


def _scores(context: Context, group: HeadGroup, parts: Parts, extent: Extent, scoring: Scoring) -> list[Tensor]:
    """Scores (n, H) of every middle segment; attention and redundancy are over all the group holds."""
    everything = (*parts.middle, *parts.sink, *parts.recent)
    keys = [s.keys() for s in everything]
    alike = redundancy(torch.cat(keys))
    looked = torch.zeros_like(alike)
    queries = _turned_queries(context, group.segments[-1])
    if queries is not None and scoring.mix > 0:
        turned = [rotate(k, context.rope.angles(context.positions(s))) for k, s in zip(keys, everything, strict=True)]
        looked = importance(queries, torch.cat(turned))
    sizes = [s.tokens for s in everything]
    return [
        scoring.mix * pooled(i, s.coords_NHA, extent, scoring.reach) - (1 - scoring.mix) * r
        for s, i, r in zip(parts.middle, looked.split(sizes), alike.split(sizes), strict=False)
    ]


def _turned_queries(context: Context, newest: Segment) -> Tensor | None:
    """The newest chunk's sampled queries, rotated to where its tokens lie. None where none were captured."""
    if newest.queries_MHD is None:
        return None
    stride = query_stride(newest.tokens, context.policy.queries)
    at = context.positions(replace(newest, coords_NHA=newest.coords_NHA[::stride]))
    return rotate(newest.queries_MHD, context.rope.angles(at))


def _best(middle: Sequence[Segment], scores: Sequence[Tensor], room: int, grain: int) -> tuple[Segment, ...]:
    """The ``room`` best tokens of every head, as many of one chunk in each head of the group."""
    sizes = [s.tokens for s in middle]
    together = torch.cat(list(scores))
    owner = torch.arange(len(sizes), device=together.device).repeat_interleave(
        torch.tensor(sizes, device=together.device)
    )
    top = together.topk(room, dim=0).indices
    wanted = torch.bincount(owner[top].flatten(), minlength=len(sizes)).tolist()
    kept = []
    for segment, score, count in zip(middle, scores, shares(wanted, sizes, room, grain), strict=True):
        if count == segment.tokens:
            kept.append(segment)
        elif count:
            kept.append(segment.pick(score.topk(count, dim=0).indices.sort(dim=0).values))
    return tuple(kept)
