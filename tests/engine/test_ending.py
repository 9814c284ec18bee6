"""Endings: when a world is over a session begins the next, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake import frames

from unreel import UserError, advance
from unreel.engine import registry
from unreel.engine.model import Model
from unreel.engine.session import Session

Make = Callable[..., Model]
CLIP = np.random.default_rng(0).integers(0, 255, (6, 8, 8, 3), dtype=np.uint8)
EXTRA = ["extra", "with-next", "inline", "never"]


class Count:
    """Over after so many chunks."""

    def __init__(self, after: int = 3) -> None:
        self.after = after

    def judge(self, frames: Any, judged: tuple[int, ...]) -> tuple[tuple[int, ...], bool]:
        assert frames.dtype == np.uint8
        assert frames.shape[1:] == (8, 8, 3)
        seen = sum(judged) + 1
        return (seen,), seen >= self.after


@pytest.fixture
def ending(make_fake: Make) -> Make:
    """Builds the fake model with an ending after so many chunks and, by default, three seed clips."""
    registry.register("ending", "count", Count)

    def build(after: int = 3, clips: int = 3, **changes: Any) -> Model:
        model = make_fake(ending={"class": "count", "after": after}, **changes)
        if clips:
            media = np.random.default_rng(1).integers(0, 255, (clips, 6, 8, 8, 3), dtype=np.uint8)
            model.seeds = {"frames": torch.as_tensor(media), "actions": torch.ones(clips, 6, dtype=torch.long)}
        return model

    return build


def told(events: Any) -> list[tuple[int, Any]]:
    """The restarts in some events: chunk and seed clip."""
    return [(e.chunk.index, c.value) for e in events for c in e.applied if c.kind == "restart"]


def film(session: Session, chunks: int = 8, **options: Any) -> torch.Tensor:
    return frames(session.stream(chunks=chunks, **options))


def test_a_world_that_is_over_is_followed_by_the_next_clip(ending: Make) -> None:
    session = ending().session(seed=1)  # clip 1
    events = list(session.stream(chunks=10))
    assert [e.chunk.index for e in events] == list(range(3, 13))
    assert [e.seq for e in events] == list(range(10))
    assert told(events) == [(6, 2), (9, 0), (12, 1)]
    assert [c.id for c in events[3].applied] == ["restart-6"]
    assert session.stats.restarts == session.stats.summary()["restarts"] == 3


def test_nothing_of_the_world_before_is_left(ending: Make) -> None:
    model = ending()
    session, other = model.session(seed=4, start=0), model.session(seed=4, start=0, actions="d")
    list(session.stream(chunks=3))
    other.send("action", "w")
    list(other.stream(chunks=3))  # another world before
    session.send("action", "w")
    assert torch.equal(film(session, 3), film(other, 3))
    past = session.state.past
    assert min(past) >= 3, "of the clip's and newer chunks alone"


def test_the_clip_lies_right_before_the_chunk_with_its_own_actions(ending: Make) -> None:
    model = ending(after=1)
    session = model.session(seed=0, start=0, actions="d")
    next(session.stream(chunks=1))
    advance([session])  # commits the clip
    past = session.state.past
    assert sorted(past) == [1, 2, 3]
    assert torch.equal(past[1].clean, model.codec.encode(model.seeds["frames"][1, :2]))
    assert past[1].conditions["action"].tolist() == [1, 1]
    assert session.context_bytes == _begun(model).context_bytes
    assert [c.end for c in session.state.contexts.values()] == [8]
    next(session.stream(chunks=1))
    assert session.state.past[4].conditions["action"].tolist() == [4, 4], "held keys stay in force"


def _begun(model: Model) -> Session:
    session = model.session(seed=1, start=1)
    advance([session])
    return session


@pytest.mark.parametrize("start", ["clip", "nothing", "latents"])
def test_another_start_is_begun_from_again(ending: Make, start: str) -> None:
    model = ending()
    given: Any = {"clip": CLIP, "nothing": "nothing", "latents": model.codec.encode(CLIP)}[start]
    session = model.session(seed=1, start=given, start_actions=[1, 1, 2, 2, 3, 3] if start == "clip" else None)
    begun = dict(session.state.past)
    events = list(session.stream(chunks=3))
    advance([session])
    first = len(begun) + 3
    if begun:
        again = session.state.past
        assert torch.equal(again[first - 1].clean, begun[len(begun) - 1].clean)
        assert torch.equal(again[first - 1].conditions["action"], begun[len(begun) - 1].conditions["action"])
    events += list(session.stream(chunks=2))
    assert told(events) == [(first, None)]
    assert [e.chunk.index for e in events] == list(range(len(begun), len(begun) + 5))


def test_a_model_without_clips_begins_from_nothing_again(ending: Make) -> None:
    assert told(ending(clips=0).session().stream(chunks=7)) == [(3, None), (6, None)]


@pytest.mark.parametrize("offset", [None, 1, 2, 3])
@pytest.mark.parametrize("commit", EXTRA)
def test_there_is_one_event_per_chunk_whatever_is_in_flight(ending: Make, offset: int | None, commit: str) -> None:
    session = ending().session(seed=0, offset=offset, commit=commit, actions="w-3,d-2")
    events = list(session.stream(chunks=9))
    assert [e.chunk.index for e in events] == list(range(3, 12))
    assert [e.seq for e in events] == list(range(9))
    assert told(events) == [(6, 1), (9, 2)]


def test_controls_of_chunks_that_were_dropped_are_told_again(ending: Make) -> None:
    session = ending().session(seed=0, offset=1)
    stream = session.stream(chunks=6)
    next(stream)
    next(stream)
    sent = session.send("action", "d")
    rest = list(stream)
    assert [c.id for e in rest for c in e.applied] == [sent, "restart-6"]
    assert [e.chunk.index for e in rest if e.applied] == [6]


def test_an_earlier_chunk_that_is_late_comes_before_the_next_world(ending: Make) -> None:
    session = ending(after=1).session(seed=0, steps=8, offset=2, commit="with-next")
    advance([session])
    session.send("steps", 1)
    events = [e for _ in range(40) for e in advance([session])[0]]
    indices = [e.chunk.index for e in events]
    assert sorted(indices) == list(range(3, 3 + len(indices)))
    assert indices[0] == 4, "it overtook chunk 3"


@pytest.mark.parametrize("offset", [None, 1, 3])
@pytest.mark.parametrize("commit", EXTRA)
@pytest.mark.parametrize("steps", [0, 3, 14])
def test_snapshot_fork_and_rewind_continue_bit_for_bit(
    ending: Make, tmp_path: Path, offset: int | None, commit: str, steps: int
) -> None:
    """Stopped at a number of steps after the second chunk: before, at and after a restart."""
    model = ending()
    session = model.session(seed=0, offset=offset, commit=commit)
    list(session.stream(chunks=3 if steps == 0 else 2, actions="w-3,d-2,a-5"))
    made = [e for _ in range(steps) for e in advance([session])[0]]
    seen = session.state.seq
    fork = session.fork()
    session.snapshot(tmp_path / "s.safetensors")
    events = list(session.stream(chunks=8))
    restored = model.restore(tmp_path / "s.safetensors")
    for other in (fork, restored):
        again = list(other.stream(chunks=8))
        assert torch.equal(frames(again), frames(events))
        assert told(again) == told(events)
    session.rewind(3 + seen - 1)
    again = list(session.stream(chunks=8))
    assert torch.equal(frames(again), frames(events))
    assert [c for c, _ in told(again)] == [c for c, _ in told(events)]
    assert len(made) == seen - (3 if steps == 0 else 2)


def test_rewind_to_any_chunk_ends_the_world_when_it_had(ending: Make) -> None:
    session = ending().session(seed=0)
    events = list(session.stream(chunks=9))
    for back in range(3, 11):
        session.rewind(back)
        again = list(session.stream(chunks=11 - back))
        assert torch.equal(frames(again), frames(events[back - 2 :]))
        assert told(again) == [mark for mark in told(events) if mark[0] > back]


def test_reset_goes_back_to_the_first_world(ending: Make) -> None:
    session = ending().session(seed=1)
    before = list(session.stream(chunks=5))
    session.send("reset")
    after = list(session.stream(chunks=5))
    assert torch.equal(frames(before), frames(after))
    assert told(after) == told(before)


def test_sessions_in_a_batch_are_what_they_are_alone(ending: Make) -> None:
    model = ending()
    starts: list[Any] = [0, 1, "nothing"]
    alone = [list(model.session(seed=i, start=s).stream(chunks=7)) for i, s in enumerate(starts)]
    sessions = [model.session(seed=i, start=s) for i, s in enumerate(starts)]
    films: list[list[Any]] = [[], [], []]
    while min(map(len, films)) < 7:
        for one, events in zip(films, advance(sessions), strict=True):
            one.extend(events)
    for one, other in zip(alone, films, strict=True):
        assert (frames(one).int() - frames(other[:7]).int()).abs().max() <= 1
        assert told(one) == told(other[:7])


def test_an_ending_that_never_comes_changes_nothing(ending: Make, make_fake: Make) -> None:
    session = ending(after=10**9, clips=0).session(seed=2, start=CLIP, offset=2)
    assert torch.equal(film(session), film(make_fake().session(seed=2, start=CLIP, offset=2)))
    assert session.stats.restarts == 0


def test_restart_is_the_cards_unless_it_is_refused(ending: Make, make_fake: Make) -> None:
    model = ending()
    assert told(model.session(restart=True).stream(chunks=4)) == [(6, 1)]
    assert told(model.session(restart=False).stream(chunks=4)) == []
    assert model.session(decode=False).settings.ending is None
    with pytest.raises(UserError, match="decode"):
        model.session(decode=False, restart=True)
    with pytest.raises(UserError, match="True or False"):
        model.session(restart="never")  # type: ignore[arg-type]
    plain = make_fake()
    assert plain.session(restart=False).settings.ending is None
    with pytest.raises(UserError, match="no ending"):
        plain.session(restart=True)


def test_a_snapshot_remembers_that_it_does_not_restart(ending: Make, tmp_path: Path) -> None:
    model = ending()
    session = model.session(restart=False)
    session.snapshot(tmp_path / "s.safetensors")
    assert told(model.restore(tmp_path / "s.safetensors").stream(chunks=5)) == []


def test_a_length_is_made_in_full(ending: Make) -> None:
    session = ending().session(length=6, offset=2)
    assert len(list(session.stream())) == 6
    assert session.finished
    assert session.stats.restarts == 1


def test_all_chunks_at_once_are_one_world(ending: Make) -> None:
    session = ending().session(start="nothing", offset=0, length=5)
    assert [e.chunk.index for e in session.stream()] == [0, 1, 2, 3, 4]


def test_a_user_cannot_send_a_restart(ending: Make) -> None:
    with pytest.raises(UserError, match="takes the controls"):
        ending().session().send("restart")


def test_cards_that_cannot_have_an_ending_are_refused(ending: Make, make_fake: Make) -> None:
    with pytest.raises(UserError, match="unknown ending"):
        make_fake(ending={"class": "apocalypse"})
    with pytest.raises(UserError, match="no option"):
        make_fake(ending={"class": "count", "before": 2})


def test_bytes_are_flat_over_many_worlds(ending: Make) -> None:
    session = ending(after=7, schedule={"steps": 1}).session(seed=3, rewind=0)
    held = []
    for _ in session.stream(chunks=140):
        held.append(session.context_bytes)
    assert held[7:14] == held[-7:]
    assert len(session.state.past) <= 6


@pytest.mark.parametrize(
    "context",
    [
        {"class": "window", "sink": 1, "recent": 2},
        {"class": "importance-redundancy", "sink": 2, "recent": 2, "bank": 1},
        {"class": "heads", "sink": 2, "recent": 2, "bank": 1, "static": [[0], [1]]},
        {"class": "hybrid", "sink": 2, "recent": 2, "bank": 1, "static": [[0], [1]]},
        {"class": "span", "sink": 2, "recent": 4},
    ],
    ids=lambda context: context["class"],
)
def test_the_next_world_has_a_sink_of_its_own(ending: Make, context: dict[str, Any], tmp_path: Path) -> None:
    model = ending(after=9, schedule={"steps": 1})
    session, firsts = model.session(seed=3, rewind=0, context=context), []
    held: list[int] = []
    for event in session.stream(chunks=27):
        held.append(session.context_bytes)
        firsts.append(min(session.state.contexts["main"].chunks) - event.chunk.index)
    assert session.stats.restarts >= 2
    assert held[4:9] == held[13:18] == held[22:27]
    assert firsts[4:9] == firsts[13:18] == firsts[22:27]
    session.snapshot(tmp_path / "s")
    assert model.restore(tmp_path / "s").state.contexts["main"].world == session.state.contexts["main"].world
