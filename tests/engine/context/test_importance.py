"""Importance-redundancy: what is looked at and unlike the rest stays."""

from __future__ import annotations

import pytest
import torch

from unreel.engine.backbone.dit import grid_coords
from unreel.engine.context.importance import ImportanceRedundancy, Scoring
from unreel.engine.context.store import Context
from unreel.engine.errors import UserError
from unreel.engine.rope import Rope
from unreel.engine.types import Chunk

COORDS = grid_coords(1, 2, 4)
ROPE = Rope((2, 2, 2))


def filled(policy: ImportanceRedundancy, chunks: int, budget: int | None = None) -> Context:
    """Keys all alike, but token 3 of chunk 1 in head 0 and token 6 in head 1."""
    context = Context.empty(policy, ROPE, 2, 2, budget=budget)
    for c in range(chunks):
        k = torch.ones(8, 2, 6) + 0.001 * torch.randn(8, 2, 6, generator=torch.Generator().manual_seed(c))
        if c == 1:
            k[3, 0], k[6, 1] = -k[3, 0], -k[6, 1]
        kv = tuple((k, torch.arange(8.0)[:, None, None].expand(8, 2, 6).clone()) for _ in range(2))
        context.commit(Chunk(c, c, 1, (1,)), kv, COORDS, [torch.ones(8, 2, 6)[:: max(1, 8 // policy.queries)]] * 2)
    return context


def test_the_odd_token_of_each_head_stays() -> None:
    context = filled(ImportanceRedundancy(sink=1, recent=1, bank=0.25, mix=0.0, grain=1), 6)
    kept = {s.chunk.index: s for s in context.layers[1][0].segments}
    assert set(kept) >= {0, 1, 5}
    assert 3.0 in kept[1].v_NHD[:, 0, 0].tolist()
    assert 6.0 in kept[1].v_NHD[:, 1, 0].tolist()
    place = kept[1].coords_NHA[kept[1].v_NHD[:, 1, 0] == 6.0, 1]
    assert place.tolist() == [[0, 1, 2]]  # its own coordinates travel with it


def test_the_bank_holds_what_it_may_and_no_queries_linger() -> None:
    context = filled(ImportanceRedundancy(sink=1, recent=1, bank=2, queries=4), 9)
    segments = context.layers[0][0].segments
    assert sum(s.tokens for s in segments) == 8 + 8 + 16
    assert all(s.queries_MHD is None for s in segments)


def test_without_limits_nothing_is_touched() -> None:
    segments = filled(ImportanceRedundancy(), 9).layers[0][0].segments
    assert [s.tokens for s in segments] == [8] * 9
    assert not any(s.picked for s in segments)


def test_a_budget_is_filled_but_never_exceeded() -> None:
    one = filled(ImportanceRedundancy(), 1).bytes
    for budget in (2 * one + 100, 3 * one, 5 * one + 7):
        held = filled(ImportanceRedundancy(sink=1, recent=1, grain=1), 12, budget).bytes
        assert budget - one / 2 < held <= budget


@pytest.mark.parametrize("bad", [{"queries": 0}, {"bank": -1}, {"mix": 2}, {"recent": 0}, {"grain": 0}])
def test_impossible_settings_are_refused(bad: dict) -> None:
    with pytest.raises(UserError):
        ImportanceRedundancy(**bad)


def test_scoring_checks_itself() -> None:
    with pytest.raises(UserError):
        Scoring(reach=-1)
