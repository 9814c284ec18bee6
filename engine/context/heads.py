"""Static and dynamic heads (Forcing-KV): each kind keeps what it uses, in two dense groups and two attention calls.

Static heads look at the newest frames whatever is shown; they keep a sink and a ring. Dynamic heads look for what
happened before; they keep a bank besides. Which head is which is measured once per model (``unreel profile``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unreel.engine.context.importance import Scoring, banked, frames_to_tokens
from unreel.engine.context.keep import Parts, Structure, bank_tokens, split
from unreel.engine.context.score import Extent, extent_of, flat, similarity, tiles
from unreel.engine.context.store import Context, HeadGroup, Segment
from unreel.engine.errors import UserError

Static = tuple[tuple[int, ...], ...]  # per layer, the heads that are static


def head_groups(static: Static, layer: int, heads: int) -> list[tuple[int, ...]]:
    """Dynamic heads first, then static ones; a group that would be empty is left out.

    Raises:
        UserError: no profile, or one of another model.
    """
    if not static:
        raise UserError("this context needs to know the model's static heads: run `unreel profile MODEL` first")
    if layer >= len(static) or any(not 0 <= head < heads for head in static[layer]):
        raise UserError(f"the head profile does not fit: layer {layer} of {len(static)}, {heads} heads a layer")
    still = set(static[layer])
    groups = (tuple(h for h in range(heads) if h not in still), tuple(sorted(still)))
    return [group for group in groups if group]


def is_dynamic(static: Static, layer: int, group: HeadGroup) -> bool:
    """Whether a group of this layer has a bank. A group of all heads names none of them."""
    first = group.heads[0] if group.heads else 0
    return first not in static[layer]


@dataclass(frozen=True)
class Heads:
    """Static heads: ``sink`` and ``recent`` frames. Dynamic heads: a bank of ``bank`` frames' worth of tiles besides.

    The bank holds the tiles (``tile`` tokens high and wide, of one time slot) that are least like what now lies at
    their place: what has gone out of sight. Forcing-KV compares with the following frame, in runs of flattened rows,
    and forgets the bank with every chunk; here old tiles compete with new ones for as long as they stay unlike.
    Indices are the session's own, and every layer's.
    """

    static: Static = ()
    sink: int = 1
    recent: int = 1
    bank: float | None = 1.0
    tile: tuple[int, ...] = (5, 4)
    horizon: int | None = None
    queries: int = 0

    def __post_init__(self) -> None:
        _normalise(self)
        object.__setattr__(self, "tile", tuple(self.tile))
        if not self.tile or any(side < 1 for side in self.tile):
            raise UserError(f"a tile is a height and a width of 1 token or more, got {self.tile}")

    def groups(self, layer: int, heads: int) -> Sequence[tuple[int, ...]]:
        return head_groups(self.static, layer, heads)

    def compact(self, context: Context) -> None:
        rule = Rule(Structure(self.sink, self.recent), self.static, self.bank, 1)
        for layer, at, parts, room, extent in planned(context, rule):
            group = context.layers[layer][at]
            middle = _unlike(group.segments[-1], parts.middle, room, extent, self.tile)
            replace_group(context, layer, at, HeadGroup(group.heads, (*parts.sink, *middle, *parts.recent)))


@dataclass(frozen=True)
class Hybrid:
    """Static heads by structure, dynamic heads by importance-redundancy: each token of their bank is a head's own."""

    static: Static = ()
    sink: int = 1
    recent: int = 1
    bank: float | None = 1.0
    mix: float = 0.07
    reach: int = 1
    grain: int = 8
    queries: int = 64
    horizon: int | None = None

    def __post_init__(self) -> None:
        _normalise(self)
        Scoring(self.mix, self.reach, self.grain)
        if self.queries < 1:
            raise UserError(f"queries must be >= 1, got {self.queries}")

    def groups(self, layer: int, heads: int) -> Sequence[tuple[int, ...]]:
        return head_groups(self.static, layer, heads)

    def compact(self, context: Context) -> None:
        scoring = Scoring(self.mix, self.reach, self.grain)
        rule = Rule(Structure(self.sink, self.recent), self.static, self.bank, self.grain)
        for layer, at, parts, room, extent in planned(context, rule):
            group = context.layers[layer][at]
            replace_group(context, layer, at, banked(context, group, parts, room, extent, scoring))


@dataclass(frozen=True)
class Rule:
    """What ``planned`` needs to know of a policy with head classes."""

    structure: Structure
    static: Static
    bank: float | None
    grain: int


def planned(context: Context, rule: Rule) -> list[tuple[int, int, Parts, int | None, Extent]]:
    """Every head group as (layer, position, its parts, tokens its bank may hold, the chunk's extent)."""
    newest = context.layers[0][0].segments[-1]
    extent = extent_of(newest.coords_NHA)
    found = [
        (
            layer,
            at,
            split(group.segments, context.world, rule.structure, extent[0]),
            is_dynamic(rule.static, layer, group),
        )
        for layer, groups in enumerate(context.layers)
        for at, group in enumerate(groups)
    ]
    sizes = [(p, context.layers[n][at].segments[-1].k_NHD.shape[1] if dynamic else 0) for n, at, p, dynamic in found]
    room = bank_tokens(context, sizes, frames_to_tokens(rule.bank, newest), rule.grain)
    return [(layer, at, parts, room if dynamic else 0, extent) for layer, at, parts, dynamic in found]


def replace_group(context: Context, layer: int, at: int, group: HeadGroup) -> None:
    groups = list(context.layers[layer])
    groups[at] = group
    context.layers[layer] = tuple(groups)


def _unlike(
    newest: Segment, middle: tuple[Segment, ...], room: int | None, extent: Extent, tile: Sequence[int]
) -> tuple[Segment, ...]:
    """The tiles of ``middle`` least like the newest frame at their place, as many as ``room`` holds."""
    if room == 0:
        return ()
    if room is None or sum(s.tokens for s in middle) <= room:
        return middle
    owner = tiles([s.coords_NHA for s in middle], tile)
    now = newest.keys()[_last_slot(newest, extent)]
    alike = torch.cat([similarity(s.keys(), s.coords_NHA, now, extent) for s in middle])
    sizes = torch.bincount(owner)
    mean = torch.zeros(len(sizes), device=alike.device).index_add(0, owner, alike) / sizes
    order = mean.argsort(stable=True)
    stays = torch.zeros(len(sizes), dtype=torch.bool, device=alike.device)
    stays[order[sizes[order].cumsum(0) <= room]] = True
    masks = stays[owner].split([s.tokens for s in middle])
    picked = [(s, mask.nonzero()[:, 0]) for s, mask in zip(middle, masks, strict=True)]
    return tuple(s if len(index) == s.tokens else s.pick(index) for s, index in picked if len(index))


def _last_slot(newest: Segment, extent: Extent) -> Tensor:
    """Indices of a whole chunk's last time slot in grid order."""
    index = (newest.coords_NHA[:, 0, 0] == extent[0] - 1).nonzero()[:, 0]
    return index[flat(newest.coords_NHA[index], extent)[:, 0].argsort()]


def _normalise(policy: Heads | Hybrid) -> None:
    """Lists out of YAML and snapshots become tuples; numbers are checked."""
    object.__setattr__(policy, "static", tuple(tuple(int(h) for h in layer) for layer in policy.static))
    Structure(policy.sink, policy.recent)
    if policy.bank is not None and policy.bank < 0:
        raise UserError(f"bank is a number of frames, 0 or more, got {policy.bank}")
