"""Invariants 1, 5, 6 and 7 for every reuse policy, context policy, storage and their combinations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from fake import frames
from torch import Tensor

from unreel import advance
from unreel.engine.model import Model
from unreel.engine.session import Session

STATIC = [[0], [1]]
REUSE: dict[str, dict[str, Any]] = {
    "none": {"class": "none"},
    "flowcache-input": {"class": "flowcache", "measure": "input"},
    "flowcache-output": {"class": "flowcache", "measure": "output", "replay_as": "quadratic"},
    "timestep": {"class": "timestep"},
    "teacache": {"class": "teacache"},
}
CONTEXT: dict[str, dict[str, Any]] = {
    "full": {"class": "full"},
    "window": {"class": "window", "sink": 1, "recent": 2},
    "importance-redundancy": {"class": "importance-redundancy", "sink": 2, "recent": 2, "bank": 3, "grain": 2},
    "heads": {"class": "heads", "static": STATIC, "recent": 2, "bank": 2, "tile": [1, 2]},
    "hybrid": {"class": "hybrid", "static": STATIC, "recent": 1, "bank": 2, "grain": 1},
}
ENDLESS: dict[str, dict[str, Any]] = {
    "window": {"class": "window", "sink": 1, "recent": 100, "horizon": None},
    "importance-redundancy": {"class": "importance-redundancy", "horizon": None},
    "heads": {"class": "heads", "static": STATIC, "recent": 1000, "bank": None, "horizon": None},
    "hybrid": {"class": "hybrid", "static": STATIC, "recent": 1000, "bank": None, "horizon": None},
}
OFFSETS = [None, 1, 3]


def clean(session: Session, chunks: int) -> Tensor:
    states = []
    for event in session.stream(chunks=chunks):
        states.append(session.state.past[event.chunk.index].clean)
    return torch.stack(states)


@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize("reuse", list(REUSE))
@pytest.mark.parametrize("context", list(ENDLESS))
def test_1_without_limits_everything_is_bit_identical_to_plain(
    fake: Model, context: str, reuse: str, offset: int | None
) -> None:
    plain = clean(fake.session(seed=4, context="full", offset=offset), 7)
    spec = REUSE[reuse] if reuse == "none" else {**REUSE[reuse], "threshold": 0}
    assert torch.equal(plain, clean(fake.session(seed=4, context=ENDLESS[context], reuse=spec, offset=offset), 7))


@pytest.mark.parametrize("context", list(CONTEXT))
def test_1_a_budget_that_holds_everything_changes_nothing(fake: Model, context: str) -> None:
    plain = clean(fake.session(seed=4, context=CONTEXT[context]), 7)
    assert torch.equal(plain, clean(fake.session(seed=4, context={**CONTEXT[context], "budget_bytes": 10**9}), 7))


@pytest.mark.parametrize("reuse", [r for r in REUSE if r != "none"])
@pytest.mark.parametrize("offset", OFFSETS)
def test_every_policy_reuses_something_and_never_the_last_step(fake: Model, reuse: str, offset: int | None) -> None:
    if reuse == "teacache" and offset == 1:
        pytest.skip("a chunk begins with every step, and one that begins makes teacache compute all")
    session = fake.session(seed=4, steps=12, offset=offset, reuse={**REUSE[reuse], "threshold": 0.4})
    last_computed = []
    while session.stats.chunks < 4:
        before = {f.chunk.index: dict(f.kv) for f in session.state.flights if f.level == f.steps - 1}
        flights = {f.chunk.index: f for f in session.state.flights}
        advance([session])
        last_computed += [flights[index].reuse["main"]["computed"] for index in before if reuse != "timestep"]
    assert session.stats.steps_reused > 0
    assert session.stats.commit_rows >= 3
    assert all(count >= 3 for count in last_computed)


@pytest.mark.parametrize("context", list(CONTEXT))
@pytest.mark.parametrize("reuse", list(REUSE))
def test_5_interleaved_sessions_never_touch_each_other(fake: Model, context: str, reuse: str) -> None:
    options: dict[str, Any] = {"context": CONTEXT[context], "reuse": REUSE[reuse], "offset": 2, "guidance": 2.0}
    alone = [frames(fake.session(seed=s, **options).stream(chunks=5)) for s in (1, 2)]
    streams = [fake.session(seed=s, **options).stream(chunks=5) for s in (1, 2)]
    mixed: list[list[Any]] = [[], []]
    for pair in zip(*streams, strict=True):
        for i, event in enumerate(pair):
            mixed[i].append(event)
    assert all(torch.equal(a, frames(m)) for a, m in zip(alone, mixed, strict=True))


@pytest.mark.parametrize("context", list(CONTEXT))
@pytest.mark.parametrize("reuse", ["flowcache-output", "teacache"])
def test_5_who_shares_a_batch_does_not_matter(fake: Model, context: str, reuse: str) -> None:
    """float32, absolute tolerance 1e-4: a last bit may tip no decision at these thresholds, but is carried on."""
    options: dict[str, Any] = {"context": CONTEXT[context], "reuse": REUSE[reuse], "offset": 2}
    alone = [clean(fake.session(seed=s, **options), 4) for s in (1, 2)]
    together = [fake.session(seed=s, **options) for s in (1, 2)]
    states: list[list[Tensor]] = [[], []]
    while min(len(s) for s in states) < 4:
        for i, events in enumerate(advance(together)):
            states[i] += [together[i].state.past[e.chunk.index].clean for e in events]
    for mine, batched in zip(alone, states, strict=True):
        assert torch.allclose(mine, torch.stack(batched[:4]), atol=1e-4)


@pytest.mark.parametrize("storage", ["plain", "bfloat16", "int8"])
@pytest.mark.parametrize("context", list(CONTEXT))
@pytest.mark.parametrize(("reuse", "commit"), [("flowcache-output", "extra"), ("teacache", "inline")])
def test_6_snapshot_fork_and_rewind_continue_bit_for_bit(
    fake: Model, tmp_path: Path, context: str, storage: str, reuse: str, commit: str
) -> None:
    spec = {**CONTEXT[context], "storage": storage}
    session = fake.session(seed=10, steps=6, offset=2, context=spec, reuse=REUSE[reuse], commit=commit)
    list(session.stream(chunks=6))
    advance([session])
    session.snapshot(tmp_path / "s.safetensors")
    fork = session.fork()
    expected = frames(session.stream(chunks=3))
    assert torch.equal(expected, frames(fork.stream(chunks=3)))
    assert torch.equal(expected, frames(fake.restore(tmp_path / "s.safetensors").stream(chunks=3)))
    session.rewind(int(fork.state.seq) - 4)
    assert torch.equal(expected, frames(session.stream(chunks=3)))


@pytest.mark.parametrize("storage", ["plain", "bfloat16", "int8"])
@pytest.mark.parametrize("context", list(CONTEXT))
@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_7_a_budget_is_never_exceeded(fake: Model, context: str, storage: str, guidance: float) -> None:
    budget = 26_000 if guidance == 1.0 else 52_000
    spec = {**CONTEXT[context], "storage": storage, "budget_bytes": budget}
    session = fake.session(seed=3, steps=2, context=spec, guidance=guidance)
    for _ in session.stream(chunks=25):
        assert session.context_bytes <= budget
    assert session.stats.peak_context_bytes <= budget


@pytest.mark.parametrize("context", [c for c in CONTEXT if c != "full"])
def test_7_bytes_are_flat_over_300_chunks(fake: Model, context: str) -> None:
    spec = {**CONTEXT[context], "storage": "int8"}
    session = fake.session(seed=3, steps=1, context=spec, rewind=0, reuse=REUSE["flowcache-output"])
    held = []
    for _ in session.stream(chunks=300):
        held.append(session.context_bytes)
    assert max(held[150:]) <= max(held[20:150])
    assert len(session.state.past) < 20


def test_presets_are_named_options_and_what_is_given_wins(make_fake: Any) -> None:
    fast = {"steps": 6, "reuse": {"class": "flowcache", "threshold": 0.3}}
    model = make_fake(presets={"exact": {"reuse": {"class": "none"}}, "fast": fast})
    session = model.session(preset="fast")
    assert session.schedule.steps == 6
    assert session.reuse.threshold == 0.3
    assert model.session(preset="fast", steps=3).schedule.steps == 3
    with pytest.raises(ValueError, match="exact, fast"):
        model.session(preset="slow")


def test_an_inline_commit_brings_its_queries(fake: Model) -> None:
    """Importance is scored whichever way a chunk's keys enter: pure importance differs from pure redundancy."""
    made = []
    for mix in (0.0, 1.0):
        spec = {**CONTEXT["importance-redundancy"], "mix": mix}
        made.append(clean(fake.session(seed=5, context=spec, commit="inline"), 12))
    assert not torch.equal(made[0], made[1])
