"""streaming/viewer.py and room.py: credit, lost tails, keys, late joiners, and that one viewer never slows another."""

from __future__ import annotations

from collections import deque
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.streaming.helpers import heard, made, make_hub, packet, running, say
from unreel.streaming import protocol as p
from unreel.streaming.backend import Packet, Receipt, Still
from unreel.streaming.outbox import MOST, Outbox
from unreel.streaming.viewer import Viewer


def viewer(**changes: Any) -> Viewer:
    return Viewer(Outbox(), "h264", **{"window": 3, "window_bytes": 10_000, "lag": 2, "now": 0.0, **changes})


def seqs(one: Viewer) -> list[int]:
    return [m.seq for m, _, _ in one.out.items if isinstance(m, p.Chunk)]


def feed(one: Viewer, ring: deque[Packet], *packets: Packet) -> None:
    for each in packets:
        ring.append(each)
        one.offer(ring)


def test_a_slow_viewer_loses_the_tail_and_goes_on_at_the_next_key() -> None:
    one, ring = viewer(), deque[Packet]()
    one.join(ring, None)
    feed(one, ring, *(packet(seq, format="h264", key=seq % 10 == 0) for seq in range(8)))
    assert seqs(one) == [0, 1, 2], "its window"
    assert one.lost
    assert one.dropped == 5
    one.ack(2, 1.0)
    feed(one, ring, packet(8, format="h264", key=False), packet(9, format="h264", key=False))
    assert seqs(one) == [0, 1, 2], "nothing that it could not decode"
    feed(one, ring, packet(10, format="h264"), packet(11, format="h264", key=False))
    assert seqs(one) == [0, 1, 2, 10, 11]
    assert one.dropped == 7


def test_a_short_hiccup_loses_nothing() -> None:
    one, ring = viewer(), deque[Packet]()
    one.join(ring, None)
    feed(one, ring, *(packet(seq, format="h264", key=seq == 0) for seq in range(5)))
    one.ack(2, 1.0)
    one.pump(ring)
    assert seqs(one) == [0, 1, 2, 3, 4]
    assert one.dropped == 0


def test_bytes_are_bounded_too() -> None:
    one, ring = viewer(window=50, window_bytes=25), deque[Packet]()
    one.join(ring, None)
    feed(one, ring, *(packet(seq, format="h264", size=10) for seq in range(20)))
    assert sum(size for _, size in one.owed) <= 25 + 10


def test_a_late_joiner_starts_at_the_last_key_or_asks_for_one() -> None:
    ring = deque(packet(seq, format="h264", key=seq in (0, 4)) for seq in range(6))
    one = viewer()
    one.join(ring, None)
    assert seqs(one) == [4, 5]
    assert [m.replay for m, _, _ in one.out.items if isinstance(m, p.Chunk)] == [True, True]
    far = viewer()
    far.join(deque(packet(seq, format="h264", key=seq == 0) for seq in range(6)), None)
    assert far.lost


def test_resume_goes_on_where_it_was_even_far_behind() -> None:
    ring = deque(packet(seq, format="h264", key=seq == 0) for seq in range(12))
    one = viewer()
    one.join(ring, 1)
    seen = seqs(one)
    for seq in range(12, 16):
        feed(one, ring, packet(seq, format="h264", key=False))
        one.ack(seqs(one)[-1], 1.0)
        one.pump(ring)
    assert seqs(one) == [*seen, *range(seen[-1] + 1, 16)][: len(seqs(one))]
    assert seqs(one)[0] == 2
    assert one.dropped == 0


@settings(max_examples=200, deadline=None, database=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), max_size=60))
def test_whatever_happens_a_viewer_can_decode_what_it_gets(script: list[tuple[bool, int]]) -> None:
    """Any mix of keys and acks: chunks rise, a gap is followed by a key, and never more is owed than allowed."""
    one, ring = viewer(), deque[Packet](maxlen=16)
    one.join(ring, None)
    for seq, (key, acks) in enumerate(script):
        feed(one, ring, packet(seq, format="h264", key=key))
        assert len(one.owed) <= one.window
        for _ in range(acks):
            if one.owed:
                one.ack(one.owed[0][0], 0.0)
                one.pump(ring)
    sent = [m for m, _, _ in one.out.items if isinstance(m, p.Chunk)]
    last = -2
    for message in sent:
        assert message.seq > last
        assert message.key or message.seq == last + 1
        last = message.seq


def test_one_viewer_that_never_reads_costs_the_others_nothing() -> None:
    hub, backend = make_hub(key_gap_s=0.5)
    owner = running(hub, window=8)
    room = owner.room
    assert room is not None
    deaf = hub.connect(0.0)
    say(deaf, p.Watch(token=room.watch, formats=["jpeg"], window=8))
    got = []
    for seq in range(200):
        now = seq * 0.1
        hub.deliver(made(room.id, seq, packet(seq, key=seq % 20 == 0, size=1000)), now)
        got += [m.seq for m in heard(owner) if isinstance(m, p.Chunk)]
        say(owner, p.Ack(seq=seq), now)
        assert backend.last("grant") == (room.id, seq + 1 + 8)
    assert got == list(range(200))
    waiting = sum(len(binary or b"") for _, binary, _ in deaf.out.items)
    assert waiting <= 8 * 1000, "no more than its window"
    assert backend.count("key") == 0, "and no bits for a viewer that has no credit"
    hub.tick(21.0)
    assert deaf.state == "closed"
    assert owner.state == "owner"


def test_keys_are_asked_for_sparingly() -> None:
    hub, backend = make_hub(key_gap_s=0.5)
    owner = running(hub, window=8)
    room = owner.room
    assert room is not None
    room.rings["h264"] = deque(packet(seq, format="h264", key=False) for seq in range(3))
    for number in range(10):
        late = hub.connect(0.0)
        say(late, p.Watch(token=room.watch, formats=["h264"]), now=number * 0.01)
    assert backend.count("key") == 1


def test_a_joiner_of_a_paused_session_gets_a_still() -> None:
    hub, backend = make_hub()
    owner = running(hub)
    room = owner.room
    assert room is not None
    hub.deliver(Receipt(room.id, "x", "pause", "applied", 0, 0), 0.0)
    late = hub.connect(1.0)
    say(late, p.Watch(token=room.watch, formats=["h264"]), 1.0)
    assert backend.last("key") == (room.id, "h264", True)
    heard(late)
    hub.deliver(Still(room.id, "h264", packet(0, format="h264")), 1.1)
    assert [m.type for m in heard(late)] == ["media", "chunk"]  # type: ignore[attr-defined]
    assert late.viewer is not None
    assert late.viewer.lost, "the stream itself goes on at a key"


def test_formats_nobody_uses_are_not_encoded_for_ever() -> None:
    hub, backend = make_hub()
    owner = running(hub)
    room = owner.room
    assert room is not None
    late = hub.connect(1.0)
    say(late, p.Watch(token=room.watch, formats=["h264"]), 1.0)
    assert backend.last("want") == (room.id, frozenset({"jpeg", "h264"}))
    late.lost(2.0)
    hub.tick(2.1)
    assert backend.last("want") == (room.id, frozenset({"jpeg"}))


def test_an_outbox_is_bounded_and_says_goodbye_all_the_same() -> None:
    out = Outbox()
    for number in range(MOST + 10):
        out.put(p.Pong(t=number))
    out.put(p.Pong(t=1), latest="pong")
    assert out.overflow
    assert len(out.items) == MOST
    out.close(p.Closing(reason="slow"))
    out.put(p.Pong(t=2))
    assert isinstance(out.items[-1][0], p.Closing)
