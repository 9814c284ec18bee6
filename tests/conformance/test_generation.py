"""The invariants of the design, on the fake backbone. `dream` has the same ones in test_dream.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fake import frames
from torch import Tensor

from unreel import advance
from unreel.engine.context.view import SequenceView
from unreel.engine.model import Model
from unreel.engine.rng import normal
from unreel.engine.session import Session

Make = Callable[..., Model]
ACTIONS = "w-3,d-2,none-1,a-5"
OFFSETS = [1, 2, 3, 4, 9]


def clean(session: Session, chunks: int, **options: Any) -> Tensor:
    """The clean states of the next chunks, in full precision (events hold rounded pixels)."""
    states = []
    for event in session.stream(chunks=chunks, **options):
        states.append(session.state.past[event.chunk.index].clean)
    return torch.stack(states)


def block_loop(model: Model, chunks: int, steps: int, seed: int) -> Tensor:
    """The plain loop without any cache: every step recomputes the whole sequence under a block-causal mask."""
    done: list[Tensor] = []
    told: list[Tensor] = []
    shape = (2, 12, 4, 4)
    action = model.conditions["action"]
    for c in range(chunks):
        x = normal(shape, seed, c, 0)
        chunk = model.session().plan.chunk(c)
        assert chunk is not None
        told.append(action.encode(action.check(ACTIONS), chunk, 0))
        for k in range(steps):
            times = torch.tensor([1.0] * c + [k / steps])
            view = SequenceView(1, c + 1, model.coords(shape), model.backbone.rope, span=2)
            states, condition = torch.stack([*done, x]), {"action": torch.stack(told)}
            predicted = model.backbone(states, times, view, condition)[-1]
            x = x + (1 / steps) / (1 - k / steps) * (predicted - x) if k < steps - 1 else predicted
        done.append(x)
    return torch.stack(done)


def test_1_infinite_budget_is_bit_identical_to_keeping_everything(fake: Model) -> None:
    full = clean(fake.session(seed=4, context="full"), 8, actions=ACTIONS)
    wide = clean(fake.session(seed=4, context={"sink": 1, "recent": 100, "horizon": None}), 8, actions=ACTIONS)
    assert torch.equal(full, wide)


@pytest.mark.parametrize("commit", ["extra", "with-next"])
@pytest.mark.parametrize("steps", [1, 4])
def test_2_and_3_block_by_block_equals_the_plain_loop(fake: Model, commit: str, steps: int) -> None:
    session = fake.session(seed=5, context="full", commit=commit, steps=steps)
    expected = block_loop(fake, 6, steps, seed=5)
    assert torch.allclose(clean(session, 6, actions=ACTIONS), expected, atol=1e-5)


@pytest.mark.parametrize("offset", OFFSETS)
def test_2_cached_equals_recomputed(fake: Model, offset: int) -> None:
    cached = clean(fake.session(seed=6, context="full", offset=offset, commit="with-next"), 6)
    recomputed = clean(fake.session(seed=6, context="full", offset=offset, commit="never"), 6)
    assert torch.allclose(cached, recomputed, atol=1e-5)


def test_2_one_call_over_the_sequence_equals_the_cached_context(fake: Model) -> None:
    session = fake.session(seed=7, context="full")
    clean(session, 5)
    next(iter(session.stream(chunks=1)))  # commits chunk 4
    past = [session.state.past[i] for i in range(5)]
    view = SequenceView(1, 5, fake.coords(past[0].chunk.shape), fake.backbone.rope, span=2)
    kept: list[tuple[Tensor, Tensor]] = []
    inner = view.attend

    def spy(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        kept.append((k, v))
        return inner(layer, q, k, v)

    view.attend = spy  # type: ignore[method-assign]
    told = torch.stack([p.conditions["action"] for p in past])
    fake.backbone(torch.stack([p.clean for p in past]), torch.ones(5), view, {"action": told})
    for layer, (k, v) in enumerate(kept):
        segments = session.state.contexts["main"].layers[layer][0].segments
        assert torch.allclose(torch.stack([s.k_NHD for s in segments[:5]]), k, atol=1e-5)
        assert torch.allclose(torch.stack([s.v_NHD for s in segments[:5]]), v, atol=1e-5)


def test_3_an_offset_beyond_the_steps_is_block_by_block(fake: Model) -> None:
    blocks = clean(fake.session(seed=8), 5)
    assert torch.equal(blocks, clean(fake.session(seed=8, offset=4), 5))
    assert torch.equal(blocks, clean(fake.session(seed=8, offset=50), 5))
    assert not torch.equal(blocks, clean(fake.session(seed=8, offset=2), 5))


def test_3_offset_zero_denoises_all_chunks_together(fake: Model) -> None:
    session = fake.session(seed=8, offset=0, length=5)
    assert len(list(session.stream())) == 5
    assert session.stats.calls == 4


def test_4_chunked_decode_equals_full_decode(fake: Model) -> None:
    session = fake.session(seed=9)
    latents, payloads = [], []
    for event in session.stream(chunks=4):
        latents.append(session.state.past[event.chunk.index].clean)
        payloads.append(torch.as_tensor(event.payload))
    whole, _ = fake.codec.decode(torch.cat(latents), fake.codec.new_state())
    assert torch.equal(torch.as_tensor(whole), torch.cat(payloads))


@pytest.mark.parametrize("offset", [None, 2])
def test_5_who_shares_a_batch_does_not_matter(fake: Model, offset: int | None) -> None:
    """float32, absolute tolerance 1e-5: matrix products of other sizes may round the last bit differently."""
    alone = [clean(fake.session(seed=s, offset=offset), 4) for s in (1, 2, 3)]
    together = [fake.session(seed=s, offset=offset) for s in (1, 2, 3)]
    advance([together[0]])  # out of step with the others
    states: list[list[Tensor]] = [[], [], []]
    while min(len(s) for s in states) < 4:
        for i, events in enumerate(advance(together)):
            states[i] += [together[i].state.past[e.chunk.index].clean for e in events]
    for mine, batched in zip(alone, states, strict=True):
        assert torch.allclose(mine, torch.stack(batched[:4]), atol=1e-5)


def test_5_interleaved_sessions_never_touch_each_other(fake: Model) -> None:
    alone = [frames(fake.session(seed=s).stream(chunks=4)) for s in (1, 2)]
    streams = [fake.session(seed=s).stream(chunks=4) for s in (1, 2)]
    mixed: list[list[Any]] = [[], []]
    for pair in zip(*streams, strict=True):
        for i, event in enumerate(pair):
            mixed[i].append(event)
    assert all(torch.equal(a, frames(m)) for a, m in zip(alone, mixed, strict=True))


@pytest.mark.parametrize("commit", ["extra", "with-next", "inline", "never"])
@pytest.mark.parametrize("sampler", ["euler", "renoise", "multistep"])
@pytest.mark.parametrize("offset", [None, 1, 3])
def test_6_snapshot_fork_and_rewind_continue_bit_for_bit(
    fake: Model, tmp_path: Path, commit: str, sampler: str, offset: int | None
) -> None:
    session = fake.session(seed=10, offset=offset, commit=commit, sampler=sampler)
    list(session.stream(chunks=5, actions=ACTIONS))
    advance([session])  # in the middle of a chunk
    session.snapshot(tmp_path / "s.safetensors")
    fork = session.fork()
    expected = frames(session.stream(chunks=4))
    assert torch.equal(expected, frames(fork.stream(chunks=4)))
    assert torch.equal(expected, frames(fake.restore(tmp_path / "s.safetensors").stream(chunks=4)))
    first = int(fork.state.seq) - 4
    session.rewind(first - 1)
    assert torch.equal(expected, frames(session.stream(chunks=4)))


def test_6_a_stream_taken_in_pieces_is_the_same_stream(fake: Model) -> None:
    whole = frames(fake.session(seed=11, offset=2).stream(chunks=6))
    session = fake.session(seed=11, offset=2)
    parts = [frames(session.stream(chunks=n)) for n in (1, 2, 3)]
    assert torch.equal(whole, torch.cat(parts))


def test_7_bytes_are_flat_over_1000_chunks(make_fake: Make) -> None:
    model = make_fake(schedule={"steps": 1})
    session = model.session(seed=12, rewind=0)
    held = []
    for _ in session.stream(chunks=1000):
        held.append(session.context_bytes)
    assert len(set(held[10:])) == 1
    assert held[-1] == session.stats.peak_context_bytes
    assert len(session.state.past) <= 6
    assert session.state.next == 1000


def test_two_samplings_of_one_seed_agree_and_of_two_seeds_differ(fake: Model) -> None:
    assert torch.equal(frames(fake.session(seed=1).stream(chunks=2)), frames(fake.session(seed=1).stream(chunks=2)))
    assert not torch.equal(frames(fake.session(seed=1).stream(chunks=2)), frames(fake.session(seed=2).stream(chunks=2)))
