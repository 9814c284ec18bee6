"""The invariants of the design on models of frames, in float32: the shipped `dream`, and a tiny random world."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

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

START = np.random.default_rng(0).integers(0, 256, (4, 16, 32, 3), np.uint8)


@dataclass(frozen=True)
class Case:
    """A model, how its sessions begin, and how far sums in another order may be apart (of latents of unit size)."""

    model: Model
    options: dict[str, Any]
    tolerance: float

    def begin(self, seed: int = 1, **options: Any) -> Session:
        return self.model.session(seed=seed, **{"steps": 2, **self.options, **options})


def a_dream() -> Case:
    options = {"start": 3, "actions": "w-3,d-2,none-1,as-5"}
    return Case(unreel.load("dream", dtype="float32", device="cpu"), options, 2e-4)


def a_world() -> Case:
    model = tiny_world()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.backbone.parameters():  # what begins at zero would hide what it does
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return Case(model, {"start": START, "start_actions": [1, 1, 3, 0], "actions": "w-3,d-2,none-1,wa-5"}, 2e-5)


@pytest.fixture(scope="module", params=[a_dream, a_world], ids=["dream", "world"])
def case(request: pytest.FixtureRequest) -> Case:
    made: Case = request.param()
    return made


def clean(session: Session, chunks: int) -> Tensor:
    return torch.stack([session.state.past[e.chunk.index].clean for e in session.stream(chunks=chunks)])


def test_the_past_the_action_and_the_noise_all_matter() -> None:
    case = a_world()
    usual = clean(case.begin(), 2)
    for other in (
        case.begin(seed=2), case.begin(actions="s"), case.begin(start_actions=[0, 0, 0, 0]),
        case.begin(start=START[::-1].copy()),
    ):  # fmt: skip
        assert (clean(other, 2) - usual).abs().max() > 100 * case.tolerance


def test_1_infinite_budget_is_bit_identical_to_keeping_everything(case: Case) -> None:
    wide = {"class": "window", "sink": 1, "recent": 1000}
    assert torch.equal(clean(case.begin(context="full"), 4), clean(case.begin(context=wide), 4))


@pytest.mark.parametrize("offset", [None, 1])
def test_2_cached_equals_recomputed(case: Case, offset: int | None) -> None:
    cached = clean(case.begin(context="full", offset=offset, commit="with-next"), 3)
    recomputed = clean(case.begin(context="full", offset=offset, commit="never"), 3)
    assert torch.allclose(cached, recomputed, atol=case.tolerance)


def test_2_the_context_is_that_of_one_call_over_the_sequence(case: Case) -> None:
    session = case.begin(context="full")
    clean(session, 3)
    past = [session.state.past[i] for i in sorted(session.state.past)][:-1]
    shape = past[0].chunk.shape
    view = SequenceView(1, len(past), case.model.coords(shape), case.model.backbone.rope, span=past[0].chunk.frames)
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
        case.model.backbone(states, torch.ones(len(past)), view, condition)
    for layer, keys in enumerate(kept):
        segments = session.state.contexts["main"].layers[layer][0].segments
        assert torch.allclose(torch.stack([s.k_NHD for s in segments]), keys, atol=20 * case.tolerance)


def test_3_an_offset_beyond_the_steps_is_block_by_block(case: Case) -> None:
    assert torch.equal(clean(case.begin(), 3), clean(case.begin(offset=7), 3))


def test_4_chunked_decode_equals_full_decode(case: Case) -> None:
    session = case.begin()
    events = list(session.stream(chunks=3))
    latents = torch.cat([session.state.past[e.chunk.index].clean for e in events])
    assert torch.equal(torch.as_tensor(case.model.codec.decode(latents, {})[0]), frames(events))


def test_5_who_shares_a_batch_does_not_matter(case: Case) -> None:
    alone = [clean(case.begin(seed=s), 2) for s in (1, 2)]
    together = [case.begin(seed=s) for s in (1, 2)]
    states: list[list[Tensor]] = [[], []]
    while len(states[0]) < 2:
        for mine, session, events in zip(states, together, unreel.advance(together), strict=True):
            mine += [session.state.past[e.chunk.index].clean for e in events]
    assert all(torch.allclose(a, torch.stack(b), atol=case.tolerance) for a, b in zip(alone, states, strict=True))


@pytest.mark.parametrize("offset", [None, 1])
def test_6_snapshot_fork_and_rewind_continue_bit_for_bit(case: Case, tmp_path: Path, offset: int | None) -> None:
    session = case.begin(offset=offset)
    list(session.stream(chunks=3))
    newest = max(session.state.past)
    session.snapshot(tmp_path / "s.safetensors")
    fork, restored = session.fork(), case.model.restore(tmp_path / "s.safetensors")
    expected = frames(session.stream(chunks=2))
    assert torch.equal(expected, frames(fork.stream(chunks=2)))
    assert torch.equal(expected, frames(restored.stream(chunks=2)))
    session.rewind(newest)
    assert torch.equal(expected, frames(session.stream(chunks=2)))


def test_7_bytes_are_flat_and_within_a_budget(case: Case) -> None:
    session = case.begin(steps=1, rewind=0)
    held = []
    for _ in session.stream(chunks=60):
        held.append(session.context_bytes)
    assert len(set(held[20:])) == 1
    budget = held[-1] // 2
    small = case.begin(steps=1, rewind=0, context={"budget_bytes": budget})
    for _ in small.stream(chunks=20):
        assert 0 < small.context_bytes <= budget


def test_a_clean_chunk_stays_what_it_is_and_a_regression_sees_no_noise() -> None:
    case = a_world()
    states = torch.randn(2, 2, 4, 2, 4)
    view = SequenceView(2, 1, case.model.coords((2, 4, 2, 4)), case.model.backbone.rope, span=2)
    told = {
        "action": torch.zeros(2, 2, dtype=torch.long), "previous": torch.zeros_like(states),
        "previous_time": torch.zeros(2),
    }  # fmt: skip
    with torch.inference_mode():
        assert torch.allclose(case.model.backbone(states, torch.ones(2), view, told), states, atol=1e-6)
    card = case.model.card.architecture
    blind = tiny_world(architecture={**card, "blind": True}, schedule={"steps": 1})
    films = [clean(replace(case, model=blind).begin(seed=seed, steps=1), 2) for seed in (1, 2)]
    assert torch.equal(*films)
