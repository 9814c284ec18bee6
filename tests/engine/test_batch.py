"""engine/batch.py: admission, fairness, limits, batching that changes nothing, and failures that stay alone."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake import fake_model

from unreel.engine.batch import Batch, Full, Gate, Limits, Outcome, Seat
from unreel.engine.errors import UserError


@pytest.fixture
def model(tmp_path: Path) -> Any:
    return fake_model(tmp_path / "m")


def run(batch: Batch, chunks: dict[str, int], now: float = 0.0, limit: int = 400) -> dict[str, list[Outcome]]:
    """Step until every named seat has made so many chunks or is gone."""
    seen: dict[str, list[Outcome]] = {}
    counts = dict.fromkeys(chunks, 0)
    for _ in range(limit):
        for outcome in batch.step(now):
            seen.setdefault(outcome.seat.id, []).append(outcome)
            counts[outcome.seat.id] = counts.get(outcome.seat.id, 0) + len(outcome.events)
        gone = {o.seat.id for outcomes in seen.values() for o in outcomes if o.ended}
        if all(counts[name] >= n or name in gone for name, n in chunks.items()):
            return seen
    raise AssertionError(f"after {limit} steps only {counts}")


def pictures(outcomes: list[Outcome], chunks: int) -> np.ndarray:
    return np.concatenate([e.payload for o in outcomes for e in o.events][:chunks])


def test_what_a_session_makes_does_not_depend_on_who_shares_its_calls(model: Any) -> None:
    alone = np.concatenate([e.payload for e in model.session(seed=3).stream(chunks=5, actions="w")])
    batch = Batch(model)
    for seed in (1, 2, 3, 4):
        batch.open(f"s{seed}", lambda seed=seed: model.session(seed=seed, actions="w"), 0.0)
    shared = pictures(run(batch, {f"s{seed}": 5 for seed in (1, 2, 3, 4)})["s3"], 5)
    assert np.abs(shared.astype(int) - alone.astype(int)).max() <= 1


def test_a_newcomer_joins_amid_the_others_chunks(model: Any) -> None:
    batch = Batch(model)
    batch.open("a", lambda: model.session(seed=1), 0.0)
    batch.step(0.0), batch.step(0.0)
    batch.open("b", lambda: model.session(seed=2), 0.0)
    batch.step(0.0)
    assert batch.last_size == 2
    a, b = batch.running
    assert a.session
    assert b.session
    assert [f.level for s in (a, b) for f in s.session.state.flights] == [3, 1]


def test_places_queue_and_refusal(model: Any) -> None:
    batch = Batch(model, Limits(sessions=1, queue=2))
    seats = [batch.open(name, lambda: model.session(length=1), 0.0) for name in "abc"]
    batch.step(0.0)
    assert [batch.position(seat) for seat in seats] == [0, 1, 2]
    with pytest.raises(Full) as full:
        batch.open("d", model.session, 0.0)
    assert full.value.retry_after_s >= 1
    run(batch, {"a": 1})
    batch.step(0.0)
    assert [batch.position(seat) for seat in seats] == [0, 0, 1]
    batch.close(seats[2], 0.0)
    batch.close(seats[2], 0.0)
    assert batch.waiting == []


def test_a_bad_session_fails_alone_when_its_turn_comes(model: Any) -> None:
    batch = Batch(model)
    batch.open("bad", lambda: model.session(steps=0), 0.0)
    batch.open("good", lambda: model.session(), 0.0)
    seen = run(batch, {"bad": 1, "good": 1})
    assert isinstance(seen["bad"][0].error, UserError)
    assert [s.id for s in batch.running] == ["good"]


def test_idle_and_lifetime_limits(model: Any) -> None:
    batch = Batch(model, Limits(idle_s=10, lifetime_s=25))
    a = batch.open("a", model.session, 0.0)
    b = batch.open("b", model.session, 0.0)
    batch.step(0.0)
    for now in (9.0, 18.0):
        batch.touch(a, now)
        ended = {o.seat.id: o.ended for o in batch.step(now) if o.ended}
    assert ended == {"b": "idle"}
    assert b.session
    assert b.session.closed
    assert batch.next_time(18.0) <= 25.0
    assert [(o.seat.id, o.ended) for o in batch.step(25.0) if o.ended] == [("a", "lifetime")]


def test_shares_are_equal_where_not_all_fit_into_a_call(model: Any) -> None:
    batch = Batch(model, Limits(batch=2))
    for name in "abcde":
        batch.open(name, model.session, 0.0)
    for _ in range(5 * 3 * 5):  # 5 calls a chunk (4 steps and the commit)
        batch.step(0.0)
    made = [seat.chunks for seat in batch.running]
    assert max(made) - min(made) <= 1, made
    assert min(made) >= 4, made


def test_a_gate_holds_the_next_chunk_back_but_not_the_commit(model: Any) -> None:
    class Shut(Gate):
        begun_at: list[float]

        def opens(self, seat: Seat, now: float) -> float:
            return -math.inf if seat.chunks == 0 else 5.0

        def begun(self, seat: Seat, now: float) -> None:
            self.begun_at.append(now)

    gate = Shut()
    gate.begun_at = []
    batch = Batch(model)
    seat = batch.open("a", model.session, 0.0, gate)
    run(batch, {"a": 1})
    assert seat.session
    assert seat.session.state.pending
    batch.step(1.0)
    assert not seat.session.state.pending
    assert batch.step(2.0) == []
    assert batch.next_time(2.0) == 5.0
    assert batch.step(5.0)
    assert gate.begun_at == [0.0, 5.0]


def test_pause_and_single_steps(model: Any) -> None:
    batch = Batch(model)
    seat = batch.open("a", model.session, 0.0)
    run(batch, {"a": 1})
    assert seat.session
    seat.session.send("pause")
    assert batch.step(0.0) == []
    seat.extra = 1
    for _ in range(20):
        batch.step(0.0)
    assert seat.chunks == 2
    seat.session.send("resume")
    run(batch, {"a": 1})


@pytest.mark.parametrize("where", ["schedule", "compute", "conclude"])
def test_one_failure_ends_one_session(model: Any, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other three make exactly the pictures they make without the broken one."""
    batch = Batch(model)
    for seed in range(4):
        batch.open(f"s{seed}", lambda seed=seed: model.session(seed=seed), 0.0)
    run(batch, {"s0": 2})
    victim = batch.running[2].session
    assert victim

    def burst(*_: object, **__: object) -> None:
        raise RuntimeError("boom")

    if where == "schedule":
        monkeypatch.setattr(victim, "told", burst)
    elif where == "compute":
        monkeypatch.setattr(victim.state.contexts["main"], "layers", ())
    else:
        monkeypatch.setattr(victim, "mark_history", burst)
    seen = run(batch, {"s0": 3, "s1": 3, "s2": 3, "s3": 3})
    failed = [(o.seat.id, str(o.error)) for outcomes in seen.values() for o in outcomes if o.error]
    assert [name for name, _ in failed] == ["s2"], failed
    assert [s.id for s in batch.running] == ["s0", "s1", "s3"]
    assert victim.closed
    expected = np.concatenate([e.payload for e in model.session(seed=3).stream(chunks=5)])[4:10]
    assert np.abs(pictures(seen["s3"], 3).astype(int) - expected.astype(int)).max() <= 1


def test_a_fork_takes_a_place_at_once_or_not_at_all(model: Any) -> None:
    batch = Batch(model, Limits(sessions=2))
    seat = batch.open("a", model.session, 0.0)
    run(batch, {"a": 1})
    assert seat.session
    batch.adopt("b", seat.session.fork(), 0.0)
    with pytest.raises(Full):
        batch.adopt("c", seat.session.fork(), 0.0)
    run(batch, {"a": 1, "b": 1})


@pytest.mark.parametrize("wrong", [{"sessions": 0}, {"queue": -1}, {"batch": 0}, {"idle_s": 0}, {"lifetime_s": -1}])
def test_limits_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        Limits(**wrong)


def test_a_finished_plan_gives_its_place_back(model: Any) -> None:
    batch = Batch(model)
    batch.open("a", lambda: model.session(length=2), 0.0)
    assert run(batch, {"a": 9})["a"][-1].ended == "finished"
    assert batch.running == []
    assert batch.next_time(0.0) == math.inf
