"""Plans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from torch import Tensor

from tests.fake import fake_model
from unreel.engine import registry
from unreel.engine.interfaces import Memory
from unreel.engine.model import Model
from unreel.engine.plan import TimePlan, choosy
from unreel.engine.state import Past
from unreel.engine.types import Chunk


class Counted:
    """A plan that is over when so many chunks have been made as the first one's number of frames says."""

    controls: ClassVar[Mapping[str, Any]] = {}
    regions = 1
    recall = 0
    choosy = False

    def __init__(self, frames: int, length: int | None = None) -> None:
        self.frames = frames

    def chunk(self, index: int, route: Memory) -> Chunk | None:
        ended = route.get("made", ()) and len(route["made"]) >= self.frames
        return None if ended else Chunk(index, index * self.frames, self.frames, (self.frames, 12, 4, 4))

    def sees(self, chunk: Chunk, earlier: Chunk, clean: bool, route: Memory) -> bool:
        return True

    def boundary(self, index: int, route: Memory) -> bool:
        return index == 0

    def decide(self, index: int, route: Memory, held: Mapping[str, Any]) -> Memory:
        return {"made": []}

    def after(self, past: Past, route: Memory) -> Memory:
        return {"made": [*route["made"], past.chunk.index]}

    def told(self, chunk: Chunk, route: Memory, past: Mapping[int, Past]) -> dict[str, Tensor]:
        return {}

    def stale(self, chunk: Chunk, route: Memory) -> bool:
        return False


@pytest.fixture
def counted(tmp_path: Path) -> Iterator[Model]:
    registry.register("plan", "counted", Counted)
    yield fake_model(tmp_path, plan={"class": "counted", "frames": 3})
    del registry._PARTS["plan"]["counted"]


def test_time_goes_on_for_ever_or_ends() -> None:
    endless = TimePlan(3, (4, 2, 2))
    chunk = endless.chunk(10**6)
    assert chunk is not None
    assert (chunk.start, chunk.frames, chunk.shape) == (3 * 10**6, 3, (3, 4, 2, 2))
    assert TimePlan(3, (4, 2, 2), length=2).chunk(2) is None


def test_a_plan_that_does_not_deny_it_is_asked_what_it_sees() -> None:
    class Other:
        pass

    assert not choosy(TimePlan(1, (1,)))
    assert not choosy(Counted(1))
    assert choosy(Other())


@pytest.mark.parametrize("commit", ["extra", "with-next", "inline", "never"])
def test_what_was_made_can_end_a_plan(counted: Model, commit: str) -> None:
    session = counted.session(seed=1, commit=commit)
    assert [event.chunk.index for event in session.stream()] == [0, 1, 2]
    assert session.finished


def test_an_end_is_undone_by_going_back(counted: Model, tmp_path: Path) -> None:
    session = counted.session(seed=1)
    whole = list(session.stream())
    session.rewind(1)
    assert not session.finished
    assert [event.chunk for event in session.stream()] == [whole[2].chunk]
    session.snapshot(tmp_path / "s.safetensors")
    assert counted.restore(tmp_path / "s.safetensors").finished
