"""Static and dynamic heads keep different things, in dense groups."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from unreel.engine.backbone.dit import grid_coords
from unreel.engine.context.heads import Heads, Hybrid, head_groups
from unreel.engine.context.store import Context
from unreel.engine.errors import UserError
from unreel.engine.rope import Rope
from unreel.engine.types import Chunk

COORDS = grid_coords(3, 2, 2)
STATIC = ((0, 2), ())


def filled(policy: Any, chunks: int, odd: int = 2) -> Context:
    """Three heads; what lies at (0, 0) differs in chunk ``odd`` from all that came before and after."""
    context = Context.empty(policy, Rope((2, 2, 2)), 2, 3)
    for c in range(chunks):
        k = torch.ones(12, 3, 6)
        if c == odd:
            k[0] = -k[0]
        context.commit(Chunk(c, 3 * c, 3, (3,)), tuple((k, k + c) for _ in range(2)), COORDS, [k] * 2)
    return context


def kept(context: Context, layer: int, group: int) -> list[tuple[int, int]]:
    """(chunk, time slot) of every kept token of a group."""
    segments = context.layers[layer][group].segments
    return [(s.chunk.index, int(t)) for s in segments for t in s.coords_NHA[:, 0, 0]]


def test_groups_are_dynamic_then_static_and_never_empty() -> None:
    assert head_groups(STATIC, 0, 3) == [(1,), (0, 2)]
    assert head_groups(STATIC, 1, 3) == [(0, 1, 2)]
    assert head_groups(((0, 1, 2),), 0, 3) == [(0, 1, 2)]


def test_static_heads_keep_the_sink_and_the_ring() -> None:
    context = filled(Heads(STATIC, sink=1, recent=1, bank=1), 6)
    assert kept(context, 0, 1) == [(0, 0)] * 4 + [(5, 2)] * 4
    everywhere = filled(Heads(((0, 1, 2), ()), sink=1, recent=1, bank=1), 6)
    assert kept(everywhere, 0, 0) == [(0, 0)] * 4 + [(5, 2)] * 4


def test_the_bank_keeps_what_has_gone_out_of_sight_and_no_more_than_its_size() -> None:
    context = filled(Heads(STATIC, sink=1, recent=1, bank=0.25, tile=(1, 1)), 9)
    assert kept(context, 0, 0) == [(0, 0)] * 4 + [(2, 0)] + [(8, 2)] * 4
    bank = context.layers[0][0].segments[1]
    assert bank.coords_NHA.tolist() == [[[0, 0, 0]]]


def test_hybrid_banks_by_head() -> None:
    context = filled(Hybrid(STATIC, sink=1, recent=1, bank=1.0, grain=1), 9)
    segments = context.layers[1][0].segments
    assert sum(s.tokens for s in segments) == 4 + 4 + 4
    assert kept(context, 0, 1) == [(0, 0)] * 4 + [(8, 2)] * 4


@pytest.mark.parametrize("policy", [Heads, Hybrid])
def test_a_missing_or_foreign_profile_is_refused(policy: Any) -> None:
    with pytest.raises(UserError, match="unreel profile"):
        policy().groups(0, 3)
    with pytest.raises(UserError, match="does not fit"):
        policy(((7,),)).groups(0, 3)
    with pytest.raises(UserError, match="does not fit"):
        policy(((0,),)).groups(1, 3)


@pytest.mark.parametrize("bad", [{"bank": -1}, {"sink": -1}, {"tile": [0]}])
def test_impossible_settings_are_refused(bad: dict) -> None:
    with pytest.raises(UserError):
        Heads(STATIC, **bad)
    with pytest.raises(UserError):
        Hybrid(STATIC, queries=0)
