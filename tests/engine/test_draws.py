"""Choices within a pass: guidance decides for all branches of a chunk, clean rows keep what they are."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from unreel.engine.draws import Draws
from unreel.engine.errors import UserError
from unreel.engine.generate import Row, Work
from unreel.engine.guidance import Guidance
from unreel.engine.sampler.categorical import Categorical
from unreel.engine.sampler.euler import Euler
from unreel.engine.types import Chunk

SHAPE = (1, 2, 3)


def row(index: int, state: torch.Tensor, clean: bool = False) -> Row:
    return Row(Chunk(index, index, 1, SHAPE), state, 1.0 if clean else 0.0, {}, None if clean else object())  # type: ignore[arg-type]


def work(guidance: Guidance, sampler: Any, noise: torch.Tensor, known: torch.Tensor) -> Work:
    session: Any = SimpleNamespace(guidance=guidance, sampler=sampler, model=SimpleNamespace(name="it"))
    rows = {branch: [row(0, known, clean=True), row(1, noise)] for branch in guidance.branches}
    return Work(session, rows)


def test_branches_go_on_with_the_guided_choice():
    known = torch.nn.functional.one_hot(torch.tensor([[2, 0]]), 3).float()
    works = [
        work(Guidance(3.0), Categorical(temperature=0), torch.zeros(SHAPE), known),
        work(Guidance(1.0), Categorical(temperature=0), torch.zeros(SHAPE), known),
    ]
    draws = Draws.of(works)
    scores = torch.zeros(6, 3)
    scores[1], scores[3] = torch.tensor([2.0, 1.8, 0.0]), torch.tensor([2.0, 0.0, 0.0])  # main and null
    scores[5] = torch.tensor([0.0, 0.0, 1.0])
    assert draws(0, scores).tolist() == [2, 1, 2, 1, 2, 2]
    assert draws(1, scores).tolist() == [0, 1, 0, 1, 0, 2]


def test_each_place_has_its_own_noise():
    noise = torch.zeros(SHAPE)
    noise[0, 0, 1], noise[0, 1, 2] = 3.0, 3.0
    draws = Draws.of([work(Guidance(), Categorical(), noise, torch.zeros(SHAPE))])
    assert [int(draws(place, torch.zeros(2, 3))[1]) for place in (0, 1)] == [1, 2]


def test_a_sampler_must_draw():
    with pytest.raises(UserError, match="must be `categorical`"):
        Draws.of([work(Guidance(), Euler(), torch.zeros(SHAPE), torch.zeros(SHAPE))])
