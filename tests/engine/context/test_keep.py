"""Sink, middle and recent tokens; how many more a budget allows."""

from __future__ import annotations

import pytest
import torch

from unreel.engine.backbone.dit import grid_coords
from unreel.engine.context.keep import Structure, bank_tokens, split, token_bytes
from unreel.engine.context.storage import Storage
from unreel.engine.context.store import Context, Segment
from unreel.engine.context.window import Full
from unreel.engine.errors import UserError
from unreel.engine.rope import Rope
from unreel.engine.types import Chunk

COORDS = grid_coords(3, 1, 2)[:, None, :]


def segment(index: int, coords: torch.Tensor = COORDS) -> Segment:
    n = len(coords)
    return Segment(
        Chunk(index, index * 3, 3, (3,)), torch.arange(n * 6.0).reshape(n, 1, 6), torch.zeros(n, 1, 6), coords
    )


def frames(segments: tuple[Segment, ...]) -> list[int]:
    return [s.chunk.start + int(c) for s in segments for c in s.coords_NHA[:, 0, 0]]


def test_every_token_lands_in_exactly_one_part() -> None:
    parts = split([segment(i) for i in range(4)], (0, 12), Structure(1, 1), 3)
    assert frames(parts.sink) == [0, 0]
    assert frames(parts.recent) == [11, 11]
    assert frames(parts.middle) == sorted([*range(1, 11)] * 2)
    assert parts.sink[0].picked
    assert parts.middle[1] is not None


def test_whole_segments_are_passed_on_without_a_copy() -> None:
    whole = [segment(i) for i in range(4)]
    parts = split(whole, (0, 12), Structure(3, 3), 3)
    assert parts.sink == (whole[0],)
    assert parts.middle[0] is whole[1]
    assert parts.recent[0] is whole[3]
    assert parts.fixed_bytes == whole[0].bytes + whole[3].bytes


def test_one_time_slot_of_two_frames_is_kept_if_either_is() -> None:
    coords = grid_coords(1, 1, 2)[:, None, :]
    chunks = [Segment(Chunk(i, 2 * i, 2, (2,)), torch.zeros(2, 1, 6), torch.zeros(2, 1, 6), coords) for i in range(3)]
    parts = split(chunks, (0, 6), Structure(1, 1), 1)
    assert [len(p) for p in (parts.sink, parts.middle, parts.recent)] == [1, 1, 1]


def test_a_budget_shrinks_the_bank_and_no_budget_leaves_it() -> None:
    context = Context.empty(Full(), Rope((2, 2, 2)), 1, 1)
    parts = [(split([segment(i) for i in range(4)], (0, 12), Structure(1, 1), 3), 1)]
    assert bank_tokens(context, parts, 7, 1) == 7
    assert bank_tokens(context, parts, None, 1) is None
    each = token_bytes(segment(0), Storage(), 1)
    assert each == 2 * 6 * 4 + 2 * 3
    context.budget = int(parts[0][0].fixed_bytes + 5.5 * each)
    assert bank_tokens(context, parts, 7, 1) == 5
    assert bank_tokens(context, parts, 3, 1) == 3
    assert bank_tokens(context, parts, None, 4) == 4
    assert bank_tokens(context, [(parts[0][0], 0)], None, 1) is None


def test_structures_that_keep_nothing_are_refused() -> None:
    with pytest.raises(UserError):
        Structure(0, 0)
