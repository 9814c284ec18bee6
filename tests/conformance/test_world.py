"""The invariants of the design, on a tiny world with random weights, in float32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from fake import frames
from torch import Tensor
from world.tiny import tiny_world

import unreel
from unreel.engine.context.view import SequenceView
from unreel.engine.model import Model
from unreel.engine.session import Session

ACTIONS = "w-3,d-2,none-1,wa-5"
TOLERANCE = 2e-5  # float32, on latents of unit variance; sums are taken in another order
START = np.random.default_rng(0).integers(0, 256, (4, 16, 32, 3), np.uint8)


@pytest.fixture(scope="module")
def world() -> Model:
    model = tiny_world()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.backbone.parameters():  # what begins at zero would hide what it does
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model


def clean(session: Session, chunks: int) -> Tensor:
    return torch.stack([session.state.past[e.chunk.index].clean for e in session.stream(chunks=chunks)])


def begin(model: Model, seed: int = 1, **options: object) -> Session:
    told = {"start_actions": [1, 1, 3, 0], "steps": 2, "actions": ACTIONS, **options}
    return model.session(seed=seed, start=START, **told)  # type: ignore[arg-type]


def test_the_past_the_action_and_the_noise_all_matter(world: Model) -> None:
    usual = clean(begin(world), 2)
    for other in (
        begin(world, seed=2), begin(world, actions="s"), begin(world, start_actions=[0, 0, 0, 0]),
        world.session(seed=1, start=START[::-1].copy(), start_actions=[1, 1, 3, 0], steps=2, actions=ACTIONS),
    ):  # fmt: skip
        assert (clean(other, 2) - usual).abs().max() > 100 * TOLERANCE


def test_1_infinite_budget_is_bit_identical_to_keeping_everything(world: Model) -> None:
    wide = {"class": "window", "sink": 1, "recent": 1000}
    assert torch.equal(clean(begin(world, context="full"), 4), clean(begin(world, context=wide), 4))


@pytest.mark.parametrize("offset", [None, 1])
def test_2_cached_equals_recomputed(world: Model, offset: int | None) -> None:
    cached = clean(begin(world, context="full", offset=offset, commit="with-next"), 3)
    recomputed = clean(begin(world, context="full", offset=offset, commit="never"), 3)
    assert torch.allclose(cached, recomputed, atol=TOLERANCE)


def test_2_the_context_is_that_of_one_call_over_the_sequence(world: Model) -> None:
    session = begin(world, context="full")
    clean(session, 3)
    past = [session.state.past[i] for i in sorted(session.state.past)][:-1]
    shape = past[0].chunk.shape
    view = SequenceView(1, len(past), world.coords(shape), world.backbone.rope, span=past[0].chunk.frames)
    kept: list[Tensor] = []
    inner = view.attend

    def spy(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        kept.append(k)
        return inner(layer, q, k, v)

    view.attend = spy  # type: ignore[method-assign]
    states = torch.stack([p.clean for p in past])
    condition = {
        "action": torch.stack([p.conditions["action"] for p in past]),
        "previous": torch.cat([torch.zeros_like(states[:1]), states[:-1]]),
        "previous_time": torch.tensor([0.0] + [1.0] * (len(past) - 1)),
    }
    with torch.inference_mode():
        world.backbone(states, torch.ones(len(past)), view, condition)
    for layer, keys in enumerate(kept):
        segments = session.state.contexts["main"].layers[layer][0].segments
        assert torch.allclose(torch.stack([s.k_NHD for s in segments]), keys, atol=20 * TOLERANCE)


def test_3_an_offset_beyond_the_steps_is_block_by_block(world: Model) -> None:
    assert torch.equal(clean(begin(world), 3), clean(begin(world, offset=7), 3))


def test_5_who_shares_a_batch_does_not_matter(world: Model) -> None:
    alone = [clean(begin(world, seed=s), 2) for s in (1, 2)]
    together = [begin(world, seed=s) for s in (1, 2)]
    states: list[list[Tensor]] = [[], []]
    while len(states[0]) < 2:
        for mine, session, events in zip(states, together, unreel.advance(together), strict=True):
            mine += [session.state.past[e.chunk.index].clean for e in events]
    assert all(torch.allclose(a, torch.stack(b), atol=TOLERANCE) for a, b in zip(alone, states, strict=True))


@pytest.mark.parametrize("offset", [None, 1])
def test_6_snapshot_fork_and_rewind_continue_bit_for_bit(world: Model, tmp_path: Path, offset: int | None) -> None:
    session = begin(world, offset=offset)
    list(session.stream(chunks=3))
    newest = max(session.state.past)
    session.snapshot(tmp_path / "s.safetensors")
    fork, restored = session.fork(), world.restore(tmp_path / "s.safetensors")
    expected = frames(session.stream(chunks=2))
    assert torch.equal(expected, frames(fork.stream(chunks=2)))
    assert torch.equal(expected, frames(restored.stream(chunks=2)))
    session.rewind(newest)
    assert torch.equal(expected, frames(session.stream(chunks=2)))


def test_7_bytes_are_flat_and_within_a_budget(world: Model) -> None:
    session = begin(world, steps=1, rewind=0)
    held = []
    for _ in session.stream(chunks=40):
        held.append(session.context_bytes)
    assert len(set(held[10:])) == 1
    budget = held[-1] // 2
    small = begin(world, steps=1, rewind=0, context={"budget_bytes": budget})
    for _ in small.stream(chunks=12):
        assert 0 < small.context_bytes <= budget


def test_a_clean_chunk_stays_what_it_is_and_a_regression_sees_no_noise(world: Model) -> None:
    states = torch.randn(2, 2, 4, 2, 4)
    view = SequenceView(2, 1, world.coords((2, 4, 2, 4)), world.backbone.rope, span=2)
    told = {
        "action": torch.zeros(2, 2, dtype=torch.long), "previous": torch.zeros_like(states),
        "previous_time": torch.zeros(2),
    }  # fmt: skip
    with torch.inference_mode():
        assert torch.allclose(world.backbone(states, torch.ones(2), view, told), states, atol=1e-6)
    card = world.card.architecture
    blind = tiny_world(architecture={**card, "blind": True}, schedule={"steps": 1})
    films = [clean(begin(blind, seed=seed, steps=1), 2) for seed in (1, 2)]
    assert torch.equal(*films)
