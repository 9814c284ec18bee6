"""Guidance branches, alone and in a session."""

import torch
from fake import frames

from unreel.engine.guidance import MAIN, NULL, Guidance
from unreel.engine.model import Model


def test_scale_one_needs_one_branch() -> None:
    assert Guidance(1.0).branches == (MAIN,)
    assert Guidance(2.0).branches == (MAIN, NULL)
    assert not Guidance(2.0, ("text",)).drops(NULL, "action")


def test_combine_goes_past_the_main_branch() -> None:
    clean = {MAIN: torch.tensor([2.0]), NULL: torch.tensor([1.0])}
    assert Guidance(3.0).combine(clean) == 4.0


def test_a_session_with_guidance_keeps_a_context_per_branch(fake: Model) -> None:
    guided = fake.session(seed=1, guidance=2.0, actions="w")
    plain = fake.session(seed=1, actions="w")
    a, b = frames(guided.stream(chunks=3)), frames(plain.stream(chunks=3))
    assert not torch.equal(a, b)
    assert set(guided.state.contexts) == {MAIN, NULL}
    assert guided.context_bytes == 2 * plain.context_bytes
    assert guided.stats.steps_computed == 2 * plain.stats.steps_computed
