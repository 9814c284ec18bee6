"""Futures in a batch that shares its past are what each is alone, with shipped weights; the past stays as it was."""

from __future__ import annotations

import pytest
import torch

from unreel import Forecaster, load
from unreel.engine.model import Model

ALIKE = 2e-4  # float32, on latents in -1..1; sums are taken in another order


@pytest.fixture(scope="module")
def dream() -> Model:
    return load("dream", dtype="float32", device="cpu")


def test_futures_in_a_batch_are_what_each_is_alone(dream: Model) -> None:
    past, taken = dream.seeds["frames"][2].numpy(), dream.seeds["actions"][2].tolist()
    forecaster = Forecaster(dream)
    root = forecaster.encode({"observations": past, "actions": taken})
    before = [tensor.clone() for context in root.session.contexts for tensor in context.tensors]
    together = forecaster.forecast(root, "d-2,w-4", horizon=5, samples=3)
    for seed, latents in zip(together.seeds, together.latents, strict=True):
        alone = dream.session(seed=seed, start=past, start_actions=taken, actions="d-2,w-4", decode=False)
        made = torch.cat([event.payload for event in alone.stream(frames=5)])[:5]
        torch.testing.assert_close(latents, made, atol=ALIKE, rtol=0)
    assert not torch.equal(together.latents[0], together.latents[1])
    after = [tensor for context in root.session.contexts for tensor in context.tensors]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    again = forecaster.forecast(root, "d-2,w-4", horizon=5, samples=3)
    assert torch.equal(again.latents, together.latents)
