"""streaming/connection.py and hub.py: the whole conversation, without sockets, threads or models."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.streaming.helpers import heard, kinds, made, make_hub, packet, running, say
from unreel.streaming import protocol as p
from unreel.streaming.backend import Began, Ended, Position, Receipt, Refused
from unreel.streaming.connection import Connection


def only(connection: Connection, kind: type[Any]) -> Any:
    found = [m for m in heard(connection) if isinstance(m, kind)]
    assert len(found) == 1, found
    return found[0]


def test_configure_waits_in_the_queue_and_then_runs() -> None:
    hub, backend = make_hub()
    connection = hub.connect(0.0)
    say(connection, p.Configure(seed=7, steps=3, actions="w", formats=["jpeg"], window=4))
    assert backend.started().options == {"seed": 7, "steps": 3, "actions": "w", "preset": None}
    assert backend.started().period == 0.2
    room = connection.room
    assert room is not None
    hub.deliver(Position(room.id, 2, 5.0), 0.0)
    hub.deliver(Position(room.id, 1, 5.0), 0.0)
    queued = heard(connection)
    assert [m.position for m in queued if isinstance(m, p.Queued)] == [1], "the newer position replaces the older"
    hub.deliver(Began(room.id), 1.0)
    configured = only(connection, p.Configured)
    assert (configured.role, configured.key, configured.version) == ("owner", room.key, "unreel.v1")
    assert backend.last("want") == (room.id, frozenset({"jpeg"}))
    assert backend.last("grant") == (room.id, 4)


def test_acks_of_what_was_sent_are_no_chatter_but_empty_ones_are() -> None:
    hub, _ = make_hub(messages_per_s=10, burst=20)
    owner = running(hub, window=8)
    assert owner.room is not None
    for seq in range(100):
        hub.deliver(made(owner.room.id, seq, packet(seq)), 0.0)
        say(owner, p.Ack(seq=seq), 0.0)
    assert owner.state == "owner"
    for _ in range(30):
        say(owner, p.Ack(seq=99), 0.0)
    assert owner.state == "closed"


def test_chunks_flow_by_acks() -> None:
    hub, backend = make_hub()
    connection = running(hub, window=2)
    room = connection.room
    assert room is not None
    for seq in range(2):
        hub.deliver(made(room.id, seq, packet(seq)), 0.1)
    assert kinds(connection) == ["media", "chunk", "chunk"]
    assert backend.last("grant") == (room.id, 2), "no more is made than can be sent"
    say(connection, p.Ack(seq=0), 0.2)
    assert backend.last("grant") == (room.id, 3)
    say(connection, p.Ack(seq=1), 0.3)
    assert backend.last("grant") == (room.id, 4)
    say(connection, p.Ack(seq=9), 0.4)
    assert only(connection, p.Error).code == "bad_request"


def test_a_control_is_accepted_then_applied_before_its_chunk() -> None:
    hub, backend = make_hub()
    connection = running(hub)
    room = connection.room
    assert room is not None
    say(connection, p.Control(id="k1", kind="action", value="w"))
    assert backend.last("control") == (room.id, "k1", "action", "w")
    hub.deliver(Receipt(room.id, "k1", "action", "accepted"), 0.0)
    hub.deliver(made(room.id, 0, packet(0, applied=("k1",)), applied=(("k1", "action"),)), 0.1)
    messages = heard(connection)
    assert [m.type for m in messages] == ["control", "control", "media", "chunk"]  # type: ignore[attr-defined]
    applied, chunk = messages[1], messages[3]
    assert isinstance(applied, p.ControlStatus)
    assert (applied.status, applied.chunk, applied.seq) == ("applied", 0, 0)
    assert isinstance(chunk, p.Chunk)
    assert chunk.applied == ["k1"]


def test_a_dropped_client_resumes_without_a_gap_or_a_repeat() -> None:
    hub, backend = make_hub()
    connection = running(hub, window=8)
    room = connection.room
    assert room is not None
    for seq in range(4):
        hub.deliver(made(room.id, seq, packet(seq, key=seq == 0)), 0.1)
    seen = [m.seq for m in heard(connection) if isinstance(m, p.Chunk)][:2]  # the rest was lost with the socket
    connection.lost(1.0)
    assert backend.last("grant") == (room.id, 4), "nobody watches: nothing more is made"
    again = hub.connect(2.0)
    say(again, p.Resume(session=room.id, key=room.key, last_seq=1, formats=["jpeg"]), 2.0)
    seen += [m.seq for m in heard(again) if isinstance(m, p.Chunk)]
    hub.deliver(made(room.id, 4, packet(4, key=False)), 2.1)
    seen += [m.seq for m in heard(again) if isinstance(m, p.Chunk)]
    assert seen == [0, 1, 2, 3, 4]


def test_a_session_nobody_comes_back_to_ends() -> None:
    hub, backend = make_hub(resume_s=30)
    connection = running(hub)
    room = connection.room
    assert room is not None
    connection.lost(1.0)
    hub.tick(30.0)
    assert room.id in hub.rooms
    hub.tick(31.5)
    assert hub.rooms == {}
    assert backend.last("close") == (room.id,)
    late = hub.connect(32.0)
    say(late, p.Resume(session=room.id, key=room.key, formats=["jpeg"]), 32.0)
    assert [m.type for m in heard(late)] == ["error", "closing"]  # type: ignore[attr-defined]


def test_two_clients_resume_one_session_and_the_newer_has_it() -> None:
    hub, _ = make_hub()
    first = running(hub)
    room = first.room
    assert room is not None
    second = hub.connect(1.0)
    say(second, p.Resume(session=room.id, key=room.key, formats=["jpeg"]), 1.0)
    assert only(first, p.Closing).reason == "replaced"
    assert second.state == "owner"
    third = hub.connect(1.0)
    say(third, p.Resume(session=room.id, key="wrong-key", formats=["jpeg"]), 1.0)
    assert third.state == "closed"
    first.lost(1.5)
    assert second.state == "owner"
    assert len(room.viewers) == 1


def test_viewers_look_and_do_not_touch() -> None:
    hub, backend = make_hub(viewers=2)
    owner = running(hub)
    room = owner.room
    assert room is not None
    hub.deliver(made(room.id, 0, packet(0)), 0.1)
    viewer = hub.connect(0.2)
    say(viewer, p.Watch(token=room.watch, formats=["jpeg"]))
    messages = heard(viewer)
    assert [m.type for m in messages] == ["configured", "media", "chunk"]  # type: ignore[attr-defined]
    configured, chunk = messages[0], messages[2]
    assert isinstance(configured, p.Configured)
    assert isinstance(chunk, p.Chunk)
    assert (configured.role, configured.key, configured.recording) == ("viewer", None, None)
    assert chunk.replay, "a late joiner sees the newest picture at once"
    say(viewer, p.Control(kind="pause"))
    say(viewer, p.End())
    assert [m.code for m in heard(viewer) if isinstance(m, p.Error)] == ["forbidden", "forbidden"]
    assert backend.count("control") == 0
    third = hub.connect(0.3)
    say(third, p.Watch(token=room.watch, formats=["jpeg"]))
    assert only(third, p.Error).code == "full"


def test_end_refusal_and_failure_reach_everybody() -> None:
    hub, _ = make_hub()
    owner = running(hub)
    room = owner.room
    assert room is not None
    viewer = hub.connect(0.0)
    say(viewer, p.Watch(token=room.watch, formats=["jpeg"]))
    heard(viewer)
    hub.deliver(Ended(room.id, "failed", "the session failed in the model (RuntimeError)"), 1.0)
    for connection in (owner, viewer):
        messages = heard(connection)
        assert [m.type for m in messages] == ["error", "closing"]  # type: ignore[attr-defined]
    refused = hub.connect(2.0)
    say(refused, p.Configure())
    assert refused.room is not None
    hub.deliver(Refused(refused.room.id, "all places are taken", 12.0), 2.0)
    error = next(m for m in heard(refused) if isinstance(m, p.Error))
    assert (error.code, error.retryable, error.retry_after_s) == ("full", True, 12.0)
    assert hub.rooms == {}
    assert hub.watches == {}


def test_leaving_the_queue_gives_the_position_back() -> None:
    hub, backend = make_hub()
    connection = hub.connect(0.0)
    say(connection, p.Configure())
    connection.lost(0.1)
    assert backend.count("close") == 1
    assert hub.rooms == {}


def test_limits_of_a_client() -> None:
    hub, _ = make_hub(messages_per_s=10, burst=20, mistakes=3, hello_s=5, message_bytes=1000, connections=4)
    silent = hub.connect(0.0)
    silent.tick(6.0)
    assert only(silent, p.Closing).reason == "timeout"
    silent.lost(6.0)
    chatty = hub.connect(0.0)
    for _ in range(21):
        say(chatty, p.Ping(t=1.0))
    assert kinds(chatty) == ["pong", "error", "closing"]
    chatty.lost(0.0)
    clumsy = hub.connect(0.0)
    for _ in range(4):
        clumsy.receive("{", 0.0)
    assert kinds(clumsy) == ["error"] * 4 + ["closing"]
    clumsy.receive("{", 0.0)
    clumsy.lost(0.0)
    big = hub.connect(0.0)
    big.receive("x" * 1001, 0.0)
    assert kinds(big) == ["error", "closing"]
    big.lost(0.0)
    assert hub.connections == set()
    held = [hub.connect(0.0) for _ in range(5)]
    assert [c.state for c in held] == ["new"] * 4 + ["closed"]


def test_a_client_that_stalls_is_let_go_and_its_session_kept() -> None:
    hub, _ = make_hub(stall_s=20)
    connection = running(hub, window=1)
    room = connection.room
    assert room is not None
    hub.deliver(made(room.id, 0, packet(0)), 1.0)
    hub.tick(20.0)
    assert connection.state == "owner"
    hub.tick(40.5)
    closing = [m for m in heard(connection) if isinstance(m, p.Closing)]
    assert [(c.reason, c.session_kept) for c in closing] == [("slow", True)]
    assert room.id in hub.rooms


def test_bad_wishes_are_refused_in_words() -> None:
    hub, _ = make_hub()
    for wish, code in (({"model": "other"}, "unknown_model"), ({"preset": "none-such"}, "bad_request")):
        connection = hub.connect(0.0)
        say(connection, p.Configure(**wish))
        assert next(m for m in heard(connection) if isinstance(m, p.Error)).code == code
        assert connection.out.closed
    connection = hub.connect(0.0)
    say(connection, p.Control(kind="pause"))
    say(connection, p.Ack(seq=0))
    connection.receive(b"bytes", 0.0)
    assert [m.code for m in heard(connection) if isinstance(m, p.Error)] == ["state", "state", "invalid"]


def test_shutdown_says_goodbye_to_everybody() -> None:
    hub, backend = make_hub()
    owner, new = running(hub), hub.connect(0.0)
    hub.shutdown(1.0)
    assert only(owner, p.Closing).reason == "shutdown"
    assert only(new, p.Closing).reason == "shutdown"
    assert backend.count("close") == 1
    assert only(hub.connect(2.0), p.Closing).reason == "shutdown"


def test_fork_is_announced_with_keys_of_its_own() -> None:
    hub, backend = make_hub()
    owner = running(hub)
    room = owner.room
    assert room is not None
    say(owner, p.Control(id="f", kind="fork"))
    asked = backend.last("fork")
    assert asked is not None
    hub.deliver(Began(asked[2], 5), 1.0)
    forked = only(owner, p.Forked)
    assert forked.id == "f"
    assert forked.key != room.key
    other = hub.connect(1.1)
    say(other, p.Resume(session=forked.session, key=forked.key, formats=["jpeg"]), 1.1)
    assert other.state == "owner"
    assert backend.last("grant") == (forked.session, 13)


# ---- ten thousand malformed messages --------------------------------------------------------------------------

VALID = [
    p.Configure(), p.Control(kind="action", value="w"), p.Ack(seq=0), p.Watch(token="secret-000"),
    p.Resume(session="a", key="secret-000"), p.Ping(), p.End(),
]  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def frames(draw: st.DrawFn) -> str | bytes:
    """Noise, broken JSON, and nearly right messages with a field bent, dropped or added."""
    choice = draw(st.integers(0, 5))
    if choice == 0:
        return draw(st.text(max_size=60))
    if choice == 1:
        return draw(st.binary(max_size=60))
    message: dict[str, Any] = dict(draw(st.sampled_from(VALID)).model_dump())
    if choice == 2:
        text = json.dumps(message)
        return text[: draw(st.integers(0, len(text)))]
    field = draw(st.sampled_from(sorted(message)))
    if choice == 3:
        message.pop(field)
    elif choice == 4:
        message[draw(st.text(max_size=8))] = draw(JSON)
    else:
        message[field] = draw(JSON)
    return json.dumps(message)


@pytest.mark.parametrize("state", ["new", "owner", "viewer", "waiting"])
@settings(max_examples=100, deadline=None, database=None)
@given(noise=st.lists(frames(), min_size=25, max_size=25))
def test_ten_thousand_malformed_messages(state: str, noise: list[str | bytes]) -> None:
    """4 x 100 x 25: never an exception, every answer is a message of the protocol, nothing is left behind."""
    hub, _ = make_hub(mistakes=1000, burst=1000, connections=1000)
    connection = running(hub)
    room = connection.room
    assert room is not None
    if state == "new":
        connection = hub.connect(0.0)
    elif state == "viewer":
        connection = hub.connect(0.0)
        say(connection, p.Watch(token=room.watch, formats=["jpeg"]))
    elif state == "waiting":
        connection = hub.connect(0.0)
        say(connection, p.Configure())
    for frame in noise:
        connection.receive(frame, 0.0)
        for message in heard(connection):
            p.parse_server(message.model_dump_json())
            assert "Traceback" not in message.model_dump_json()
    connection.lost(1.0)
    hub.shutdown(2.0)
    hub.tick(2.0)
    assert hub.rooms == hub.watches == {}
