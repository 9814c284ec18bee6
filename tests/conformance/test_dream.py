"""The invariants of the design, on the shipped model `dream` with its own weights, in float32."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from fake import frames
from torch import Tensor

import unreel
from unreel.engine.context.view import SequenceView
from unreel.engine.model import Model
from unreel.engine.session import Session

ACTIONS = "w-3,d-2,none-1,as-5"
TOLERANCE = 2e-4  # float32, on pixels in -1..1; sums are taken in another order


@pytest.fixture(scope="module")
def dream() -> Model:
    return unreel.load("dream", dtype="float32", device="cpu")


def clean(session: Session, chunks: int) -> Tensor:
    return torch.stack([session.state.past[e.chunk.index].clean for e in session.stream(chunks=chunks)])


def start(model: Model, seed: int = 1, **options: object) -> Session:
    return model.session(seed=seed, start=3, steps=2, actions=ACTIONS, **options)  # type: ignore[arg-type]


def test_1_infinite_budget_is_bit_identical_to_keeping_everything(dream: Model) -> None:
    wide = {"class": "window", "sink": 1, "recent": 1000}
    assert torch.equal(clean(start(dream, context="full"), 4), clean(start(dream, context=wide), 4))


@pytest.mark.parametrize("offset", [None, 1])
def test_2_cached_equals_recomputed(dream: Model, offset: int | None) -> None:
    cached = clean(start(dream, context="full", offset=offset, commit="with-next"), 3)
    recomputed = clean(start(dream, context="full", offset=offset, commit="never"), 3)
    assert torch.allclose(cached, recomputed, atol=TOLERANCE)


def test_2_the_context_is_that_of_one_call_over_the_sequence(dream: Model) -> None:
    session = start(dream, context="full")
    clean(session, 3)
    past = [session.state.past[i] for i in sorted(session.state.past)][:-1]
    shape = past[0].chunk.shape
    view = SequenceView(1, len(past), dream.coords(shape), dream.backbone.rope, span=past[0].chunk.frames)
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
        dream.backbone(states, torch.ones(len(past)), view, condition)
    for layer, keys in enumerate(kept):
        segments = session.state.contexts["main"].layers[layer][0].segments
        assert torch.allclose(torch.stack([s.k_NHD for s in segments]), keys, atol=20 * TOLERANCE)


def test_3_an_offset_beyond_the_steps_is_block_by_block(dream: Model) -> None:
    assert torch.equal(clean(start(dream), 3), clean(start(dream, offset=7), 3))


def test_4_chunked_decode_equals_full_decode(dream: Model) -> None:
    session = start(dream)
    events = list(session.stream(chunks=3))
    latents = torch.cat([session.state.past[e.chunk.index].clean for e in events])
    assert torch.equal(torch.as_tensor(dream.codec.decode(latents, {})[0]), frames(events))


def test_5_who_shares_a_batch_does_not_matter(dream: Model) -> None:
    alone = [clean(start(dream, seed=s), 2) for s in (1, 2)]
    together = [start(dream, seed=s) for s in (1, 2)]
    states: list[list[Tensor]] = [[], []]
    while len(states[0]) < 2:
        for mine, session, events in zip(states, together, unreel.advance(together), strict=True):
            mine += [session.state.past[e.chunk.index].clean for e in events]
    assert all(torch.allclose(a, torch.stack(b), atol=TOLERANCE) for a, b in zip(alone, states, strict=True))


@pytest.mark.parametrize("offset", [None, 1])
def test_6_snapshot_fork_and_rewind_continue_bit_for_bit(dream: Model, tmp_path: Path, offset: int | None) -> None:
    session = start(dream, offset=offset)
    list(session.stream(chunks=3))
    newest = max(session.state.past)
    session.snapshot(tmp_path / "s.safetensors")
    fork, restored = session.fork(), dream.restore(tmp_path / "s.safetensors")
    expected = frames(session.stream(chunks=2))
    assert torch.equal(expected, frames(fork.stream(chunks=2)))
    assert torch.equal(expected, frames(restored.stream(chunks=2)))
    session.rewind(newest)
    assert torch.equal(expected, frames(session.stream(chunks=2)))


def test_7_bytes_are_flat_and_within_a_budget() -> None:
    model = unreel.load("dream", device="cpu")
    session = model.session(seed=1, steps=1, rewind=0)
    held = []
    for _ in session.stream(chunks=120):
        held.append(session.context_bytes)
    assert len(set(held[20:])) == 1
    budget = held[-1] // 2
    small = model.session(seed=1, steps=1, rewind=0, context={"budget_bytes": budget})
    for _ in small.stream(chunks=20):
        assert 0 < small.context_bytes <= budget
