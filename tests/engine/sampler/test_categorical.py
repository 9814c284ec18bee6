"""Drawing tokens: softmax shares, temperature, the likeliest share, the chunk's own noise."""

from __future__ import annotations

import pytest
import torch

from unreel.engine.errors import UserError
from unreel.engine.sampler.categorical import Categorical

SCORES = torch.tensor([2.0, 1.0, 0.0, -1.0])


def shares(sampler: Categorical, draws: int = 4000) -> torch.Tensor:
    noise = torch.randn(draws, 4, generator=torch.Generator().manual_seed(1))
    tokens = torch.stack([sampler.draw(SCORES, row) for row in noise])
    return torch.bincount(tokens, minlength=4) / draws


def test_tokens_come_as_often_as_the_softmax_says():
    assert torch.allclose(shares(Categorical()), SCORES.softmax(-1), atol=0.03)
    assert torch.allclose(shares(Categorical(temperature=2.0)), (SCORES / 2).softmax(-1), atol=0.03)


def test_the_likeliest_share_is_all_there_is():
    found = shares(Categorical(top_p=0.8))
    assert found[2:].sum() == 0
    assert torch.allclose(found[:2], SCORES[:2].softmax(-1), atol=0.03)
    assert shares(Categorical(top_p=1e-6), 50)[0] == 1


def test_no_temperature_no_chance():
    assert shares(Categorical(temperature=0), 20)[0] == 1


def test_the_same_noise_draws_the_same():
    noise = torch.randn(4)
    assert Categorical().draw(SCORES, noise) == Categorical().draw(SCORES, noise)
    assert Categorical().draw(SCORES, torch.full((4,), 40.0)) in range(4)


def test_noise_stays_until_the_last_step():
    state, clean = torch.randn(2, 4), torch.eye(4)[:2]
    assert Categorical().step(state, clean, 0.0, 0.5, {}, lambda: state) is state
    assert Categorical().step(state, clean, 0.5, 1.0, {}, lambda: state) is clean


@pytest.mark.parametrize("options", [{"temperature": -1}, {"top_p": 0}, {"top_p": 1.5}])
def test_what_cannot_be_is_refused(options: dict[str, float]):
    with pytest.raises(UserError, match="must be|is a share"):
        Categorical(**options)
