"""Rotary positions: only distances matter, and nothing runs out."""

import pytest
import torch

from unreel.engine.rope import Rope, rotate


def test_scores_depend_on_distance_alone() -> None:
    rope = Rope.split(16)
    q, k = torch.randn(1, 2, 16), torch.randn(1, 2, 16)
    scores = []
    for base in (0, 7, 100_000):
        at = torch.tensor([[base + 3, base + 1, base + 2]])[:, None]
        then = torch.tensor([[base, base, base]])[:, None]
        scores.append((rotate(q, rope.angles(at)) * rotate(k, rope.angles(then))).sum(-1))
    assert torch.allclose(scores[0], scores[1], atol=1e-4)
    assert torch.allclose(scores[0], scores[2], atol=1e-2)


def test_lengths_are_kept_and_position_zero_changes_nothing() -> None:
    rope, x = Rope((4, 2, 2)), torch.randn(5, 3, 8)
    turned = rotate(x, rope.angles(torch.randint(0, 50, (5, 1, 3))))
    assert torch.allclose(turned.norm(dim=-1), x.norm(dim=-1), atol=1e-5)
    assert torch.equal(rotate(x, rope.angles(torch.zeros(5, 1, 3, dtype=torch.long))), x)


def test_the_split_follows_wan() -> None:
    assert Rope.split(128).dims == (44, 42, 42)


@pytest.mark.parametrize("dims", [(), (3, 2), (0, 2)])
def test_bad_dims_are_refused(dims: tuple[int, ...]) -> None:
    with pytest.raises(ValueError):
        Rope(dims)
