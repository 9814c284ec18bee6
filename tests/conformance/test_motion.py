"""The invariants on motion: tokens drawn within a pass, committed with it, decoded with a memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.motion import tiny_motion, walk
from unreel.engine.errors import UserError
from unreel.engine.generate import advance
from unreel.engine.model import Model
from unreel.engine.session import Session
from unreel.engine.types import Event

LINE = {"points": [[0, 0], [0, 5], [5, 5]], "speed": 1.0}


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny_motion()


def begun(model: Model, **options: Any) -> Session:
    session = model.session(**{"seed": 5, "rewind": 0, **options})
    session.send("text", "walk")
    session.send("path", LINE)
    return session


def made(session: Session, chunks: int = 12) -> list[Event]:
    return list(session.stream(chunks=chunks))


def rows(events: list[Event]) -> np.ndarray:
    return np.concatenate([event.payload.rows for event in events])


def same(ours: list[Event], theirs: list[Event], atol: float = 0.0) -> None:
    assert [event.chunk for event in ours] == [event.chunk for event in theirs]
    assert np.abs(rows(ours) - rows(theirs)).max() <= atol


def test_reuse_that_never_reuses_changes_nothing(model: Model) -> None:
    same(made(begun(model)), made(begun(model, reuse={"class": "flowcache", "threshold": 0.0})))


@pytest.mark.parametrize("commit", ["extra", "with-next"])
@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_tokens_committed_as_drawn_equal_tokens_computed_again(model: Model, commit: str, guidance: float) -> None:
    plain = made(begun(model, context="full", guidance=guidance))
    same(plain, made(begun(model, context="full", guidance=guidance, commit=commit)), 1e-5)


def test_company_changes_nothing(model: Model) -> None:
    alone = made(begun(model), 8)
    sessions = [begun(model), begun(model, seed=9, guidance=2.0), model.session(seed=1, rewind=0)]
    together: list[Event] = []
    while len(together) < 8:
        together += advance(sessions)[0]
    same(alone, together, 1e-5)


@pytest.mark.parametrize("at", [1, 6])
def test_a_snapshot_goes_on_as_if_nothing_had_happened(model: Model, tmp_path: Path, at: int) -> None:
    whole = made(begun(model))
    session = begun(model)
    first = made(session, at)
    session.snapshot(tmp_path / "s.safetensors")
    forked = session.fork()
    rest = made(model.restore(tmp_path / "s.safetensors"), 12 - at)
    same(whole, first + rest)
    same(rest, made(forked, 12 - at))


def test_rewinding_makes_the_same_motion_again(model: Model) -> None:
    session = begun(model, rewind=8)
    first = made(session, 10)
    session.rewind(5)
    same(first[6:], made(session, 4))


def test_a_reset_begins_where_it_began(model: Model) -> None:
    session = begun(model)
    made(session, 5)
    session.send("reset")
    again = made(session, 1)
    assert again[0].chunk.index == 0
    assert np.abs(again[0].payload.root[0, [0, 2]]).max() < 1


def test_seeds_and_words_matter(model: Model) -> None:
    plain = rows(made(begun(model)))
    assert not np.array_equal(plain, rows(made(begun(model, seed=6))))
    told = begun(model, guidance=8.0)
    other = model.session(seed=5, guidance=8.0)
    other.send("text", "jump")
    assert not np.array_equal(rows(made(told)), rows(made(other)))


def test_what_it_starts_from_is_where_it_goes_on(model: Model) -> None:
    """A start is decoded too: the same tokens made by a session and given to another lead to the same memory."""
    latents = model.codec.encode(walk(1.0))
    session = model.session(seed=2, start=latents, length=3)
    before = model.codec.decode(latents, {})[1]
    assert all(np.allclose(session.state.codec[name], before[name], atol=1e-5) for name in before)
    events = made(session)
    assert [event.chunk.index for event in events] == [8, 9, 10]
    assert np.abs(events[0].payload.root[0, [0, 2]] - before["place"][:2].numpy()).max() < 1


def test_a_path_is_told_from_where_somebody_stands(model: Model) -> None:
    session = begun(model)
    made(session, 3)
    told = [past.conditions["path"] for past in session.state.past.values()]
    assert all(one.shape == (7,) and one[-1] == 1 for one in told)
    assert not np.array_equal(told[0], told[2])
    session.send("path", None)
    made(session, 1)
    assert float(session.state.past[3].conditions["path"].abs().sum()) == 0


def test_new_words_come_in_over_some_chunks(model: Model) -> None:
    session = begun(model)
    made(session, 2)
    session.send("text", "jump")
    events = made(session, 4)
    assert [control.kind for control in events[0].applied] == ["text"]
    told = [session.state.past[index].conditions["text"] for index in range(1, 6)]
    steps = [float((b - a).norm()) for a, b in zip(told, told[1:], strict=False)]
    assert np.allclose(steps, steps[0], atol=1e-5)


@pytest.mark.parametrize("switch", ["recache", "swap"])
def test_other_ways_to_switch_words_go_on_too(model: Model, switch: str) -> None:
    session = begun(model, prompt_switch=switch, context={"recent": 4})
    made(session, 6)
    session.send("text", "jump")
    assert len(made(session, 3)) == 3


@pytest.mark.parametrize(
    "context",
    [
        {"class": "window", "sink": 0, "recent": 8},
        {"class": "window", "sink": 1, "recent": 6, "storage": "int8"},
        {"class": "importance-redundancy", "recent": 2, "budget_bytes": 40_000},
    ],
)
def test_bytes_stay_flat_without_an_end(model: Model, context: dict[str, Any]) -> None:
    session, held = begun(model, context=context), []
    for event in session.stream(chunks=60):
        held.append(session.context_bytes)
        assert np.isfinite(event.payload.rows).all()
    assert max(held[40:]) <= max(held[:40]) <= context.get("budget_bytes", 10**6)
    assert len(session.state.past) <= 42


def test_a_sampler_that_draws_nothing_is_refused(model: Model) -> None:
    with pytest.raises(UserError, match="must be `categorical`"):
        made(begun(model, sampler="euler"), 1)
