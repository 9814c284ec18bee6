"""Panoramas over real sockets: faces for those who show cubes, windows for the rest, and all six for newcomers."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.streaming.helpers import packet
from tests.streaming.live import LiveServer, until
from tests.streaming.painted import MAGENTA, PAINT, SIDE, painted_model
from unreel.engine.errors import UserError
from unreel.modalities.media.spherical import read_spherical
from unreel.streaming.backend import Packet
from unreel.streaming.client import Connect
from unreel.streaming.dialogue import LiveChunk
from unreel.streaming.outbox import Outbox
from unreel.streaming.present import manner
from unreel.streaming.viewer import Viewer

WINDOW = 18


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with LiveServer(painted_model()) as live:
        yield live


def faces(chunks: list[LiveChunk]) -> set[str]:
    return {chunk.header.region or "" for chunk in chunks if chunk.header.replaces is None}


def test_faces_and_strips_come_as_they_are(server: LiveServer) -> None:
    with server.connect(pace="free") as live:
        chunks = list(live.chunks(2 * WINDOW))
        configured, media = live.dialogue.configured, live.dialogue.media
    assert configured is not None
    assert configured.model.modality == "panorama"
    assert configured.model.places == ["garden", "street"]
    assert {"camera", "view", "place"} <= set(configured.model.controls)
    assert configured.window == 2 * WINDOW, "two windows fit, whatever was asked for"
    assert media is not None
    assert (media.layout, media.width) == ("cube", SIDE)
    assert [chunk.seq for chunk in chunks] == list(range(2 * WINDOW))
    assert faces(chunks[:WINDOW]) == set("FRBLUD")
    for chunk in chunks:
        if chunk.header.rect is None:
            assert tuple(chunk.frames[0, 20, 20]) == PAINT[chunk.header.region or ""]
        else:
            assert chunk.frames.shape[1:3] == tuple(chunk.header.rect[2:])
            assert tuple(chunk.frames[0, 0, 0]) == MAGENTA
    assert [c.header.start for c in chunks if c.header.key] == [0, 4]
    made = [chunk.header for chunk in chunks[:WINDOW] if chunk.header.replaces is None]
    assert [header.upcoming for header in made] == [*(header.region for header in made[1:]), None]


def test_windows_come_at_the_models_rate_and_faces_as_fast_as_they_are_made(server: LiveServer) -> None:
    arrived: dict[int, list[float]] = {}
    with server.connect() as live:
        for chunk in live.chunks(6 * WINDOW):
            arrived.setdefault(chunk.header.start or 0, []).append(time.monotonic())
    begins = [times[0] for times in arrived.values()]
    period = (begins[-1] - begins[0]) / (len(begins) - 1)
    assert 0.45 < period < 0.6, f"{period:.3f} s for a window of half a second"
    assert np.median([times[-1] - times[0] for times in arrived.values()]) < 0.35, "faces do not wait for each other"


@pytest.mark.parametrize("format", ["h264", "fmp4"])
def test_others_get_equirectangular_windows(server: LiveServer, format: str, tmp_path: Path) -> None:
    with server.connect(format=format, pace="free") as live:
        chunks = list(live.chunks(4))
        media = live.dialogue.media
    assert media is not None
    assert media.layout == "equirectangular"
    assert {chunk.header.region for chunk in chunks} == {None}
    assert [chunk.header.start for chunk in chunks] == [0, 4, 8, 12]
    if format == "fmp4":
        path = tmp_path / "live.mp4"
        path.write_bytes(live.dialogue.init + b"".join(chunk.data for chunk in chunks))
        assert read_spherical(path) is not None


def test_a_player_sees_that_it_is_a_panorama(server: LiveServer, tmp_path: Path) -> None:
    with server.connect(format="jpeg") as live:
        stream = live.chunks()
        next(stream)
        configured = live.dialogue.configured
        assert configured is not None
        with urllib.request.urlopen(f"{server.http}/v1/watch/{configured.watch}.mp4", timeout=10) as film:
            got = b""
            while got.count(b"moof") < 3:
                got += film.read1(65536)
                next(stream)
    path = tmp_path / "watched.mp4"
    path.write_bytes(got[: got.rindex(b"moof") - 4])
    assert read_spherical(path) is not None


def test_unreel_watch_writes_a_panorama(server: LiveServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from unreel.commands.watch import watch

    path = tmp_path / "out.mp4"
    watch(f"ws://127.0.0.1:{server.port}", path, seconds=1.2, view=None, model=None, seed=3, actions=None, token=None)
    assert "frames" in capsys.readouterr().out
    assert read_spherical(path) is not None


def test_late_joiners_and_resumed_clients_have_all_six(server: LiveServer) -> None:
    with server.connect(format="jpeg") as live:
        stream = live.chunks()
        for _ in range(2 * WINDOW + 5):  # amid the third window
            next(stream)
        configured = live.dialogue.configured
        assert configured is not None
        began = time.monotonic()
        with server.connect(watch=configured.watch, format="jpeg") as late:
            first = [next(late.chunks()) for _ in range(WINDOW)]
        assert time.monotonic() - began < 0.4, "at once, from what is kept"
        assert faces(first) == set("FRBLUD")
        assert first[0].header.key
        assert all(chunk.header.replay for chunk in first)
        assert live._socket is not None
        live._socket.socket.shutdown(2)  # the network is gone
        after = [next(stream) for _ in range(WINDOW)]
        assert [chunk.seq for chunk in after] == list(range(2 * WINDOW + 5, 3 * WINDOW + 5))


def test_a_joiner_of_a_paused_session_gets_six_stills(server: LiveServer) -> None:
    with server.connect(format="h264", pace="free") as live:
        stream = live.chunks()
        for _ in range(2):
            next(stream)
        live.send("pause")
        configured = live.dialogue.configured
        assert configured is not None
        until(lambda: server.hub.rooms[configured.session].paused)
        with server.connect(watch=configured.watch, format="jpeg") as late:
            stills = [next(late.chunks()) for _ in range(6)]
        assert faces(stills) == set("FRBLUD")
        assert {len(still.frames) for still in stills} == {1}


def test_gaze_decides_which_face_comes_first(server: LiveServer) -> None:
    with server.connect(format="jpeg", pace="free") as live:
        stream = live.chunks()
        assert next(stream).header.region == "F"
        look = live.send("camera", [180.0, 5.0])
        bad = live.send("camera", "left")
        first = next(chunk for chunk in stream if look in chunk.applied)
        assert (first.header.region, first.header.key) == ("B", True)
        status = {s.id: s for s in live.dialogue.controls}
        assert "[yaw, pitch]" in (status[bad].reason or "")


def test_what_a_model_does_not_take_is_refused(server: LiveServer) -> None:
    def refused(made: Connect) -> str:
        with pytest.raises(UserError) as error, made:
            pass
        return str(error.value)

    assert "garden, street" in refused(server.connect(place="moon"))
    assert "no view with this name" in refused(server.connect(view="abcdefgh"))


def test_a_slow_viewer_of_cubes_goes_on_at_a_window() -> None:
    """Faces without credit wait as long as four windows; what is lost then is lost to the next first face."""
    window, lag, _ = manner("panorama").flow("jpeg", 8, 4, 64)
    one, ring = Viewer(Outbox(), "jpeg", window, 10**9, lag, 0.0), []
    one.join(ring, None)

    def feed(count: int) -> None:
        for _ in range(count):
            seq = len(ring)
            made = packet(seq, key=seq % WINDOW == 0)
            ring.append(Packet(**{**_fields(made), "whole": seq % WINDOW == WINDOW - 1}))
            one.offer(ring)

    feed(window + lag)
    assert (len(one.owed), one.dropped, one.lost) == (window, 0, False)
    feed(1)
    assert one.lost
    one.ack(window - 1, 1.0)
    feed(2 * WINDOW)
    sent = [seq for seq, _ in one.owed]
    assert sent[0] % WINDOW == 0, "it begins with the first face of a window"
    assert sent == list(range(sent[0], len(ring)))


def _fields(made: Packet) -> dict[str, object]:
    return {name: getattr(made, name) for name in made.__dataclass_fields__}
