"""Scores against their definitions, written out the slow way."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from unreel.engine.backbone.dit import grid_coords
from unreel.engine.context.score import extent_of, flat, importance, pooled, redundancy, similarity, tiles

COORDS = grid_coords(2, 3, 4)[:, None, :]


def test_redundancy_is_the_softmax_of_the_mean_cosine_with_all_others() -> None:
    keys = torch.randn(9, 2, 6)
    unit = F.normalize(keys, dim=-1)
    matrix = torch.einsum("ihd,jhd->hij", unit, unit)
    matrix.diagonal(dim1=1, dim2=2).zero_()
    expected = (matrix.sum(-1) / 8).softmax(-1).T
    assert torch.allclose(redundancy(keys), expected, atol=1e-6)


def test_importance_is_mean_attention_and_adds_up_to_one() -> None:
    q, k = torch.randn(3, 2, 6), torch.randn(9, 2, 6)
    weights = (torch.einsum("mhd,nhd->hmn", q, k) / 6**0.5).softmax(-1)
    assert torch.allclose(importance(q, k), weights.mean(1).T, atol=1e-6)
    assert torch.allclose(importance(q, k).sum(0), torch.ones(2), atol=1e-5)


def test_pooling_reaches_real_neighbours_and_does_not_wrap_over_rows() -> None:
    score = torch.zeros(24, 1)
    place = int(flat(torch.tensor([[[0, 1, 3]]]), (2, 3, 4)))  # the end of a row
    score[place] = 1.0
    reached = {tuple(c.tolist()) for c, s in zip(COORDS[:, 0], pooled(score, COORDS, (2, 3, 4)), strict=True) if s > 0}
    assert reached == {(t, h, w) for t in (0, 1) for h in (0, 1, 2) for w in (2, 3)}
    assert (0, 2, 0) not in reached  # the next token along the flattened rows


def test_pooling_counts_missing_tokens_as_nothing_and_each_head_for_itself() -> None:
    index = torch.stack([torch.tensor([0, 5, 9]), torch.tensor([1, 2, 23])], 1)
    coords = COORDS.expand(-1, 2, -1).gather(0, index[:, :, None].expand(-1, -1, 3))
    score = torch.tensor([[1.0, 1.0], [2.0, 3.0], [0.5, 0.25]])
    out = pooled(score, coords, (2, 3, 4))
    assert out.tolist() == [[2.0, 3.0], [2.0, 3.0], [2.0, 0.25]]


def test_extent_and_flat_index_agree() -> None:
    assert extent_of(COORDS) == (2, 3, 4)
    assert flat(COORDS, (2, 3, 4))[:, 0].tolist() == list(range(24))


def test_similarity_compares_with_the_key_now_at_the_same_place() -> None:
    now = torch.randn(12, 2, 6)
    keys = torch.cat([now, -now])
    assert torch.allclose(similarity(keys, COORDS, now, (2, 3, 4)), torch.tensor([1.0] * 12 + [-1.0] * 12), atol=1e-5)
    assert similarity(torch.ones(3, 1, 4), torch.zeros(3, 1, 1), torch.ones(1, 1, 4), (1,)).tolist() == [1.0] * 3


def test_tiles_share_segment_time_and_place() -> None:
    numbers = tiles([COORDS, COORDS], (2, 2))
    assert len(numbers) == 48
    assert len(set(numbers.tolist())) == 2 * 2 * 4  # segments, slots, tiles of 2x2 in 3x4
    assert numbers[0] == numbers[1] == numbers[4] == numbers[5]
    assert numbers[0] != numbers[12]
    assert numbers[0] != numbers[24]
