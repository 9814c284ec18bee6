"""Budgets: dealing out tokens, and dropping chunks as the last resort."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unreel.engine.context.budget import fit, shares
from unreel.engine.context.store import Context
from unreel.engine.context.window import Full
from unreel.engine.errors import UserError
from unreel.engine.rope import Rope
from unreel.engine.types import Chunk

COUNTS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 40)), min_size=1, max_size=12)


@given(COUNTS, st.integers(0, 300), st.integers(1, 9))
def test_shares_never_exceed_total_or_limits(counts: list[tuple[int, int]], total: int, grain: int) -> None:
    wanted, limits = [w for w, _ in counts], [n for _, n in counts]
    given_ = shares(wanted, limits, total, grain)
    assert sum(given_) <= total or sum(limits) <= total
    assert all(0 <= g <= limit for g, limit in zip(given_, limits, strict=True))
    if sum(limits) > total:
        assert all(g % grain == 0 or g == limit for g, limit in zip(given_, limits, strict=True))


def test_shares_follow_what_is_wanted() -> None:
    assert shares([30, 10], [64, 64], 40) == [30, 10]
    assert shares([30, 10], [64, 64], 40, grain=8) == [32, 8]
    assert shares([1, 1], [4, 4], 100) == [4, 4]


def filled(budget: int | None, chunks: int = 6) -> Context:
    context = Context.empty(Full(), Rope((2, 2, 2)), 1, 1, budget=budget)
    for c in range(chunks):
        kv = ((torch.full((4, 1, 6), float(c)), torch.zeros(4, 1, 6)),)
        context.commit(Chunk(c, c, 1, (1,)), kv, torch.zeros(4, 3, dtype=torch.long))
    return context


def test_the_oldest_go_first_and_the_very_first_last() -> None:
    one = 2 * 4 * 6 * 4
    assert filled(3 * one).chunks == {0, 4, 5}
    assert filled(one).chunks == {5}
    assert filled(3 * one + 10).bytes == 3 * one
    assert filled(None).chunks == set(range(6))


def test_less_than_a_chunk_is_refused() -> None:
    with pytest.raises(UserError, match="budget_bytes 10"):
        filled(10, chunks=1)
    context = filled(None)
    with pytest.raises(UserError):
        fit(context, 1)
