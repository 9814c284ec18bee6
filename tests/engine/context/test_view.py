"""Views: rows see their context, earlier rows of their session and themselves, whatever the head groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from unreel.engine.attention import sdpa
from unreel.engine.context.store import Context
from unreel.engine.context.view import MaskView, RowsView, SequenceView, Track
from unreel.engine.context.window import Full
from unreel.engine.interfaces import ContextPolicy
from unreel.engine.rope import Rope
from unreel.engine.types import Chunk

ROPE, COORDS = Rope((2, 2, 2)), torch.arange(3)[:, None] * torch.tensor([[0, 1, 0]])
HEADS = 4


def places(chunk: Chunk) -> Tensor:
    return COORDS


@dataclass(frozen=True)
class Split(Full):
    """Two head groups that keep the same: must change nothing."""

    def groups(self, layer: int, heads: int) -> Sequence[tuple[int, ...]]:
        return [(0, 2), (1, 3)]


def chunk(index: int) -> Chunk:
    return Chunk(index, index, 1, (1,))


def qkv(rows: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(rows)
    q, k, v = torch.randn(3, rows, 3, HEADS, 6, generator=generator)
    return q, k, v


def incremental(policy: ContextPolicy, together: int) -> Tensor:
    """Five chunks, the first ones committed one by one, the last ``together`` in one call."""
    q, k, v = qkv(5)
    context = Context.empty(policy, ROPE, layers=1, heads=HEADS)
    outputs = []
    for c in range(5 - together):
        view = RowsView([Track(context, [(0, chunk(c))], capture={0})], ROPE, places, sdpa)
        outputs.append(view.attend(0, q[c : c + 1], k[c : c + 1], v[c : c + 1]))
        context.commit(chunk(c), tuple(view.captured[0]), COORDS)
    first = 5 - together
    rows = [(r, chunk(first + r)) for r in range(together)]
    outputs.append(RowsView([Track(context, rows)], ROPE, places, sdpa).attend(0, q[first:], k[first:], v[first:]))
    return torch.cat(outputs)


def test_cached_rows_equal_the_masked_sequence() -> None:
    expected = SequenceView(1, 5, COORDS, ROPE, span=1).attend(0, *qkv(5))
    for together in (1, 2, 5):
        assert torch.allclose(incremental(Full(), together), expected, atol=1e-5)


def test_head_groups_that_keep_the_same_change_nothing() -> None:
    assert torch.allclose(incremental(Split(), 2), incremental(Full(), 2), atol=1e-6)


def test_tracks_do_not_see_each_other() -> None:
    q, k, v = qkv(2)
    tracks = [Track(Context.empty(Full(), ROPE, 1, HEADS), [(r, chunk(r))]) for r in range(2)]
    both = RowsView(tracks, ROPE, places, sdpa).attend(0, q, k, v)
    for r in range(2):
        alone = Track(Context.empty(Full(), ROPE, 1, HEADS), [(0, chunk(r))])
        out = RowsView([alone], ROPE, places, sdpa).attend(0, q[r : r + 1], k[r : r + 1], v[r : r + 1])
        assert torch.equal(both[r], out[0])


def test_a_choosy_plan_hides_chunks() -> None:
    q, k, v = qkv(3)
    rows = [(r, chunk(r)) for r in range(3)]
    track = Track(Context.empty(Full(), ROPE, 1, HEADS), rows, sees=lambda mine, other, clean: other.index == 0)
    out = RowsView([track], ROPE, places, sdpa).attend(0, q, k, v)
    pair = [(0, chunk(0)), (1, chunk(2))]
    view = RowsView([Track(Context.empty(Full(), ROPE, 1, HEADS), pair)], ROPE, places, sdpa)
    assert torch.allclose(out[2], view.attend(0, q[::2], k[::2], v[::2])[1], atol=1e-6)


def test_standins_serve_later_rows() -> None:
    q, k, v = qkv(2)
    rows = [(0, chunk(0)), (1, chunk(1))]
    both = RowsView([Track(Context.empty(Full(), ROPE, 1, HEADS), rows)], ROPE, places, sdpa).attend(0, q, k, v)
    track = Track(Context.empty(Full(), ROPE, 1, HEADS), [(0, chunk(1))], standins=[(chunk(0), [(k[0], v[0])])])
    alone = RowsView([track], ROPE, places, sdpa).attend(0, q[1:], k[1:], v[1:])
    assert torch.allclose(alone[0], both[1], atol=1e-6)


def test_sequences_of_a_batch_are_independent_and_windows_forget() -> None:
    q, k, v = qkv(6)
    two = SequenceView(2, 3, COORDS, ROPE, span=1).attend(0, q, k, v)
    one = SequenceView(1, 3, COORDS, ROPE, span=1).attend(0, q[3:], k[3:], v[3:])
    assert torch.allclose(two[3:], one, atol=1e-6)
    near = SequenceView(1, 3, COORDS, ROPE, span=1, window=1).attend(0, q[3:], k[3:], v[3:])
    assert torch.allclose(near[:2], one[:2], atol=1e-6)
    assert not torch.allclose(near[2], one[2], atol=1e-3)


def test_a_clean_row_may_see_less_than_one_that_is_denoised() -> None:
    q, k, v = qkv(2)
    rows = [(r, chunk(r)) for r in range(2)]

    def track(clean: set[int]) -> Track:
        empty = Context.empty(Full(), ROPE, 1, HEADS)
        return Track(empty, rows, sees=lambda mine, other, clean: not clean, clean=clean)

    noisy, clean = (RowsView([track(c)], ROPE, places, sdpa).attend(0, q, k, v) for c in (set(), {1}))
    alone = Track(Context.empty(Full(), ROPE, 1, HEADS), [(0, chunk(1))])
    assert torch.allclose(clean[1], RowsView([alone], ROPE, places, sdpa).attend(0, q[1:], k[1:], v[1:])[0], atol=1e-6)
    assert not torch.allclose(clean[1], noisy[1], atol=1e-3)


def test_regions_of_one_call_have_places_of_their_own() -> None:
    q, k, v = qkv(1)
    moved = Chunk(0, 0, 1, (1,), region="right")
    earlier = Context.empty(Full(), ROPE, 1, HEADS)
    earlier.commit(Chunk(0, 0, 1, (1,)), ((k[0], v[0]),), COORDS)

    def where(chunk: Chunk) -> Tensor:
        return COORDS + torch.tensor([0, 5, 0]) * (chunk.region == "right")

    here, there = (
        RowsView([Track(earlier, [(0, c)])], ROPE, where, sdpa).attend(0, q, k, v) for c in (chunk(1), moved)
    )
    assert not torch.allclose(here, there, atol=1e-3)


def test_a_masked_view_of_a_line_is_the_sequence_view() -> None:
    q, k, v = qkv(6)
    times = torch.arange(3)[:, None, None] * torch.tensor([1, 0, 0])
    coords = (COORDS[None] + times).expand(2, -1, -1, -1)
    visible = torch.ones(3, 3).tril().bool().expand(2, -1, -1)
    line = SequenceView(2, 3, COORDS, ROPE, span=1).attend(0, q, k, v)
    assert torch.allclose(MaskView(coords, visible, ROPE).attend(0, q, k, v), line, atol=1e-6)
    blind = MaskView(coords, torch.zeros(2, 3, 3, dtype=torch.bool), ROPE).attend(0, q, k, v)
    assert torch.allclose(blind[0], line[0], atol=1e-6)  # a row sees itself, whatever the mask says
    assert not torch.allclose(blind[1], line[1], atol=1e-3)


@pytest.mark.parametrize("policy", [Full(), Split()])
def test_tracks_that_look_at_equally_much_share_a_call_and_stay_apart(policy: ContextPolicy) -> None:
    q, k, v = qkv(3)
    contexts = []
    for size in (1, 2, 2):
        context = Context.empty(policy, ROPE, layers=1, heads=HEADS)
        for c in range(size):
            seen = torch.randn(2, 3, HEADS, 6, generator=torch.Generator().manual_seed(10 * len(contexts) + c))
            context.commit(chunk(c), ((seen[0], seen[1]),), COORDS)
        contexts.append(context)
    sizes: list[tuple[int, ...]] = []

    def counted(*args: Tensor) -> Tensor:
        sizes.append(tuple(args[1].shape))
        return sdpa(*args)

    tracks = [Track(context, [(r, chunk(context.end))]) for r, context in enumerate(contexts)]
    together = RowsView(tracks, ROPE, places, counted).attend(0, q, k, v)
    width = HEADS // len(policy.groups(0, HEADS))
    assert set(sizes) == {(6, width, 6), (2, 9, width, 6)}
    for r, context in enumerate(contexts):
        alone = RowsView([Track(context, [(0, chunk(context.end))])], ROPE, places, sdpa)
        torch.testing.assert_close(together[r], alone.attend(0, q[r : r + 1], k[r : r + 1], v[r : r + 1])[0])
