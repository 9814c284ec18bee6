"""A session: controls, starts, rewinding, pausing, ends and errors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
import pytest
import torch
from fake import frames

from unreel import Control, UserError
from unreel.engine.model import Model

Make = Callable[..., Model]
CLIP = np.random.default_rng(0).integers(0, 255, (6, 8, 8, 3), dtype=np.uint8)


def test_events_tell_chunk_payload_and_time(fake: Model) -> None:
    events = list(fake.session().stream(frames=5))
    assert [e.seq for e in events] == [0, 1, 2]
    assert [e.chunk.start for e in events] == [0, 2, 4]
    assert all(e.final and e.payload.shape == (2, 8, 8, 3) and e.payload.dtype == np.uint8 for e in events)
    assert all(set(e.timing) == {"model", "decode", "total"} for e in events)


def test_the_newest_control_of_a_kind_wins_at_the_next_boundary(fake: Model) -> None:
    session = fake.session()
    stream = session.stream(chunks=3)
    next(stream)
    session.send("action", "w")
    kept = session.send("action", "d")
    second, third = list(stream)
    assert [(c.id, c.value) for c in second.applied] == [(kept, [[4, 1]])]
    assert third.applied == ()
    assert session.state.past[2].conditions["action"].tolist() == [4, 4]


def test_actions_change_what_is_made(fake: Model) -> None:
    w, d = (frames(fake.session(seed=1, actions=a).stream(chunks=2)) for a in "wd")
    assert not torch.equal(w, d)


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [("action", "jump", "knows the actions"), ("prompt", "x", "takes the controls"), ("seed", "1", "whole number"),
     ("steps", 0, "1 or more"), ("rewind", 3, "nothing is kept")],
)  # fmt: skip
def test_what_cannot_be_obeyed_is_refused_and_not_queued(fake: Model, kind: str, value: object, told: str) -> None:
    session = fake.session()
    with pytest.raises(UserError, match=told):
        session.send(Control(kind, value))
    assert session.state.inbox == {}


def test_seed_and_steps_change_from_the_next_chunk_on(fake: Model) -> None:
    session, same = fake.session(seed=1), fake.session(seed=1)
    first = frames(session.stream(chunks=1))
    assert torch.equal(first, frames(same.stream(chunks=1)))
    session.send("seed", 2)
    assert not torch.equal(frames(session.stream(chunks=1)), frames(same.stream(chunks=1)))
    computed = session.stats.steps_computed
    session.send("steps", 2)
    list(session.stream(chunks=1))
    assert session.stats.steps_computed - computed == 2


def test_reset_begins_again_and_keeps_counting_events(fake: Model) -> None:
    session = fake.session(seed=1, start=CLIP)
    before = list(session.stream(chunks=3))
    session.send("reset")
    after = list(session.stream(chunks=3))
    assert torch.equal(frames(before), frames(after))
    assert [e.seq for e in after] == [3, 4, 5]
    assert [e.chunk.index for e in after] == [3, 4, 5]


def test_pause_stops_a_stream_and_resume_lets_it_go_on(fake: Model) -> None:
    whole = frames(fake.session(seed=3).stream(chunks=4))
    session = fake.session(seed=3)
    got = []
    for event in session.stream(chunks=4):
        got.append(event)
        if event.seq == 1:
            session.send("pause")
    assert len(got) == 2
    session.send("resume")
    got += list(session.stream(chunks=2))
    assert torch.equal(whole, frames(got))


def test_astream_yields_the_same_and_waits_while_paused(fake: Model) -> None:
    async def play() -> list[object]:
        session = fake.session(seed=3)
        session.send("pause")
        asyncio.get_running_loop().call_later(0.05, session.send, "resume")
        return [event async for event in session.astream(chunks=3)]

    assert torch.equal(frames(asyncio.run(play())), frames(fake.session(seed=3).stream(chunks=3)))


def test_a_clip_is_where_the_world_begins(fake: Model) -> None:
    session = fake.session(seed=1, start=CLIP, start_actions=[1, 1, 2, 2, 3, 3])
    first = next(session.stream(chunks=1))
    assert first.chunk.index == 3
    assert session.stats.commit_rows == 3
    assert torch.equal(session.state.past[1].clean, fake.codec.encode(CLIP[2:4]))
    assert session.state.past[1].conditions["action"].tolist() == [2, 2]


def test_a_single_picture_is_held_and_nothing_is_nothing(fake: Model) -> None:
    held = fake.session(seed=1, start=CLIP[:1])
    assert torch.equal(held.state.past[0].clean[0], held.state.past[0].clean[1])
    assert fake.session(start="nothing").state.past == {}


def test_seed_clips_are_picked_by_number_or_by_seed(fake: Model) -> None:
    fake.seeds = {
        "frames": torch.as_tensor(np.stack([CLIP, CLIP[::-1]])),
        "actions": torch.zeros(2, 6, dtype=torch.long),
    }
    by_seed, by_number = fake.session(seed=3), fake.session(seed=3, start=1)
    assert torch.equal(by_seed.state.past[0].clean, by_number.state.past[0].clean)
    with pytest.raises(UserError, match="0 to 1"):
        fake.session(start=2)


@pytest.mark.parametrize(
    "options",
    [{"start": 0}, {"start": "elsewhere"}, {"steps": 0}, {"offset": -1}, {"offset": 0}, {"commit": "later"},
     {"length": 0}, {"rewind": -1}, {"context": "widow"}, {"sampler": "heun"}, {"seed": 1.5}],
)  # fmt: skip
def test_options_that_cannot_be_honoured_are_refused(fake: Model, options: dict[str, object]) -> None:
    with pytest.raises(UserError):
        fake.session(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [{"chunks": 0}, {"frames": -3}, {"chunks": 1, "frames": 1}])
def test_counts_are_checked_before_anything_runs(fake: Model, count: dict[str, int]) -> None:
    with pytest.raises(UserError):
        fake.session().stream(**count)


def test_a_length_ends_the_stream(fake: Model) -> None:
    session = fake.session(start=CLIP, length=3, offset=2)
    assert len(list(session.stream())) == 3
    assert session.finished
    assert list(session.stream()) == []


def test_rewind_reaches_as_far_as_asked(fake: Model) -> None:
    session = fake.session(seed=1, rewind=2)
    list(session.stream(chunks=5))
    with pytest.raises(UserError, match="chunks 3 to 4"):
        session.rewind(1)
    session.rewind(3)
    assert next(session.stream(chunks=1)).chunk.index == 4


def test_forks_diverge_by_their_controls(fake: Model) -> None:
    session = fake.session(seed=1)
    list(session.stream(chunks=3))
    left, right = session.fork(), session.fork()
    left.send("action", "a")
    right.send("action", "d")
    assert not torch.equal(frames(left.stream(chunks=2)), frames(right.stream(chunks=2)))


def test_close_frees_and_ends(fake: Model) -> None:
    session = fake.session()
    list(session.stream(chunks=2))
    session.close()
    assert session.context_bytes == 0
    assert list(session.stream(chunks=2)) == []


def test_the_past_is_forgotten(fake: Model) -> None:
    session = fake.session()
    list(session.stream(chunks=30))
    assert len(session.state.past) <= 6
    assert session.state.pending[0].chunk.index == 29


def test_stats_count_every_step(fake: Model) -> None:
    session = fake.session(steps=3)
    list(session.stream(chunks=5))
    summary = session.stats.summary()
    assert (summary["chunks"], summary["steps_computed"], summary["commit_rows"]) == (5, 15, 4)
    assert summary["backbone_calls"] == 19
    assert summary["time_to_first_event_s"] > 0
    assert summary["chunk_p95_s"] >= summary["chunk_p50_s"] > 0


def test_text_conditions_reach_the_backbone(make_fake: Make) -> None:
    architecture = {"class": "patch-dit", "channels": 12, "patch": 2, "width": 32, "heads": 2, "text_width": 4}
    model = make_fake(architecture=architecture, conditions={"text": {"width": 4}})
    plain, told = model.session(seed=1), model.session(seed=1)
    told.send("text", [1.0, 2.0, 3.0, 4.0])
    assert not torch.equal(frames(plain.stream(chunks=1)), frames(told.stream(chunks=1)))


def test_a_rewind_by_control_is_told_with_the_next_chunk(fake: Model) -> None:
    session = fake.session(seed=1)
    list(session.stream(chunks=4))
    sent = session.send("rewind", 1)
    event = next(session.stream(chunks=1))
    assert event.chunk.index == 2
    assert [c.id for c in event.applied] == [sent]


def test_a_session_that_does_not_decode_emits_latents(fake: Model) -> None:
    session = fake.session(seed=1, decode=False)
    latents = torch.cat([event.payload for event in session.stream(chunks=2)])
    plain = frames(fake.session(seed=1).stream(chunks=2))
    assert torch.equal(torch.as_tensor(fake.codec.decode(latents, {})[0]), plain)


@pytest.mark.parametrize("bad", [{"shift": "abc"}, {"shift": {"x": 1}}, {"shift": {4: -1}}, {"noise_scale": 0}])
def test_a_card_with_a_bad_grid_is_refused_in_one_line(make_fake: Make, bad: dict[str, object]) -> None:
    with pytest.raises(UserError, match=next(iter(bad))):
        make_fake(sampler={"class": "euler", **bad}).session()


def test_noise_is_quieter_where_the_card_says_so(make_fake: Make) -> None:
    quiet = make_fake(sampler={"class": "euler", "noise_scale": {4: 1.0, 8: 0.5}})
    chunk = quiet.session().plan.chunk(0)
    loud, soft = (quiet.session(seed=2, steps=n).noise(chunk, n, 0) for n in (4, 8))
    assert torch.equal(loud * 0.5, soft)
