"""The plain causal transformer."""

import pytest
import torch

from unreel.engine.backbone.dit import CausalDiT, PatchDiT, grid_coords
from unreel.engine.context.view import SequenceView
from unreel.engine.errors import UserError
from unreel.engine.rope import Rope

SHAPE = (2, 3, 4, 6)


def run(net: PatchDiT, states: torch.Tensor, times: torch.Tensor, **condition: torch.Tensor) -> torch.Tensor:
    view = SequenceView(1, len(states), net.coords(SHAPE), net.rope, span=2)
    return net(states, times, view, condition)


def test_coordinates_follow_tokens() -> None:
    coords = PatchDiT(3, patch=2).coords(SHAPE)
    assert coords.tolist()[:4] == [[0, 0, 0], [0, 0, 1], [0, 0, 2], [0, 1, 0]]
    assert len(coords) == 2 * 2 * 3
    assert torch.equal(coords, grid_coords(2, 2, 3))


def test_a_chunk_depends_on_the_past_and_not_on_the_future() -> None:
    net, states = PatchDiT(3, patch=2), torch.randn(3, *SHAPE)
    out = run(net, states, torch.full((3,), 0.3))
    changed = states.clone()
    changed[1] = torch.randn(SHAPE)
    moved = (run(net, changed, torch.full((3,), 0.3)) - out).detach().abs().amax(dim=(1, 2, 3, 4))
    assert float(moved[0]) == 0
    assert (moved[1:] > 1e-6).all()


def test_conditions_and_time_matter_and_clean_stays_clean() -> None:
    net, states = PatchDiT(3, patch=2, actions=3, text_width=4), torch.randn(1, *SHAPE)
    zero = {"action": torch.zeros(1, 2, dtype=torch.long), "text": torch.zeros(1, 4)}
    base = run(net, states, torch.tensor([0.3]), **zero)
    assert not torch.allclose(base, run(net, states, torch.tensor([0.6]), **zero), atol=1e-3)
    assert not torch.allclose(base, run(net, states, torch.tensor([0.3]), **{**zero, "action": zero["action"] + 1}))
    assert not torch.allclose(base, run(net, states, torch.tensor([0.3]), **{**zero, "text": torch.ones(1, 4)}))
    assert torch.equal(run(net, states, torch.tensor([1.0]), **zero), states)


def test_the_seed_makes_the_weights_and_leaves_the_global_stream() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    assert torch.equal(PatchDiT(3, seed=1).embed.weight, PatchDiT(3, seed=1).embed.weight)
    assert torch.equal(before, torch.random.get_rng_state())


def test_widths_must_fit() -> None:
    with pytest.raises(UserError, match="rotary dims"):
        CausalDiT(width=32, depth=1, heads=2, cond_width=32, rope=Rope((4, 4, 4)))
