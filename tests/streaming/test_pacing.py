"""streaming/pacing.py: chunks at the stream's rate, no hurry after a stall, and controls that need not wait."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unreel.engine.batch import Seat
from unreel.engine.model import Model
from unreel.streaming.pacing import Pacer, StreamGate


def test_chunks_are_due_a_period_apart_whatever_they_cost() -> None:
    pacer = Pacer(period=1.0)
    now, begun = 10.0, []
    for cost in (0.2, 0.9, 0.1, 0.5):
        now = max(now, pacer.due())
        pacer.begun(now)
        begun.append(now)
        now += cost
    assert begun == [10.0, 11.0, 12.0, 13.0]


def test_a_stall_is_not_made_up_for() -> None:
    pacer = Pacer(period=1.0)
    pacer.begun(0.0)
    pacer.begun(1.0)
    assert pacer.due() == 2.0
    pacer.begun(9.5)
    assert pacer.due() == 10.5


def test_lead_lets_so_many_seconds_be_made_ahead() -> None:
    pacer = Pacer(period=1.0, lead=2.0)
    begun = []
    now = 0.0
    for _ in range(6):
        now = max(now, pacer.due())
        pacer.begun(now)
        begun.append(now)
    assert begun == [0.0, 0.0, 0.0, 1.0, 2.0, 3.0]


def test_without_a_period_nothing_waits() -> None:
    pacer = Pacer(period=0.0)
    pacer.begun(5.0)
    assert pacer.due() == -math.inf


@settings(max_examples=100, deadline=None, database=None)
@given(st.lists(st.floats(0, 5), min_size=1, max_size=50))
def test_never_faster_than_the_rate_beyond_the_lead(costs: list[float]) -> None:
    pacer, now, begun = Pacer(period=1.0, lead=0.5), 0.0, []
    for cost in costs:
        now = max(now, pacer.due())
        pacer.begun(now)
        begun.append(now)
        now += cost
    for first in range(len(begun)):
        for last in range(first, len(begun)):
            assert begun[last] - begun[first] >= (last - first) * 1.0 - 0.5 - 1.0 - 1e-6


@pytest.fixture
def seat(fake: Model) -> Any:
    made = Seat("a", fake.session, StreamGate(1.0, 0.0))
    made.session = fake.session()
    return made


def test_a_gate_opens_as_far_as_it_was_granted(seat: Any) -> None:
    assert seat.gate.opens(seat, 0.0) == math.inf
    seat.gate.granted = 1
    assert seat.gate.opens(seat, 0.0) == -math.inf
    seat.session.state.seq = 1
    assert seat.gate.opens(seat, 0.0) == math.inf


def test_a_waiting_control_begins_the_next_chunk_at_once_but_does_not_raise_the_rate(seat: Any) -> None:
    gate = seat.gate
    gate.granted = 100
    gate.begun(seat, 0.0)
    assert gate.opens(seat, 0.1) == 1.0
    seat.session.send("action", "w")
    assert gate.opens(seat, 0.1) == 0.0
    gate.begun(seat, 0.1)
    assert gate.opens(seat, 0.2) == 1.0, "another control may not take a second period in advance"
    seat.session.state.inbox.clear()
    assert gate.opens(seat, 0.2) == 2.0
