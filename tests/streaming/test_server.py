"""A real server, real sockets, the tiny model: what a user sees on the wire."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from fake import fake_model
from websockets.sync.client import connect as raw_connect

import unreel
from tests.streaming.live import LiveServer, until
from unreel.engine.batch import Limits
from unreel.engine.errors import UserError
from unreel.engine.model import Model
from unreel.streaming import protocol as p

MEDIA = {"fps": 30, "height": 16, "width": 16}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return fake_model(tmp_path_factory.mktemp("fake"), media=MEDIA, presets={"fast": {"steps": 2}})


@pytest.fixture(scope="module")
def server(model: Model) -> Iterator[LiveServer]:
    with LiveServer(model) as live:
        yield live


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        body: bytes = answer.read()
    return body


def probe(path: Path) -> tuple[str, dict[str, Any]]:
    """What ffprobe complains of, and the stream it sees."""
    if shutil.which("ffprobe") is None:
        pytest.skip("ffprobe is not installed")
    command = ["ffprobe", "-v", "warning", "-count_frames", "-show_streams", "-of", "json", str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return result.stderr, json.loads(result.stdout)["streams"][0]


def test_the_stream_is_what_the_engine_makes(server: LiveServer, model: Model) -> None:
    expected = np.concatenate([e.payload for e in model.session(seed=5).stream(chunks=4, actions="w")])
    with server.connect(seed=5, actions="w", pace="free") as live:
        got = np.concatenate([chunk.frames for chunk in live.chunks(4)])
    assert np.array_equal(got, expected)


@pytest.mark.parametrize("format", ["h264", "jpeg", "fmp4"])
def test_every_format_plays(server: LiveServer, format: str, tmp_path: Path) -> None:
    with server.connect(seed=5, format=format, pace="free") as live:
        chunks = list(live.chunks(12))
    assert [chunk.seq for chunk in chunks] == list(range(12))
    if format == "fmp4":
        path = tmp_path / "live.mp4"
        path.write_bytes(live.dialogue.init + b"".join(chunk.data for chunk in chunks))
        warnings, stream = probe(path)
        assert (warnings, stream["nb_read_frames"], stream["r_frame_rate"]) == ("", "24", "30/1")
    else:
        assert sum(len(chunk.frames) for chunk in chunks) == 24


def test_chunks_come_at_the_models_rate(server: LiveServer) -> None:
    with server.connect() as live:
        times = [time.monotonic() for _ in live.chunks(20)]
    rate = 2 * (len(times) - 1) / (times[-1] - times[0])
    assert 18 < rate < 33, f"{rate:.1f} frames/s of a 30 frames/s stream"


def test_controls_have_receipts_and_effects(server: LiveServer) -> None:
    with server.connect(seed=2, pace="free", window=1) as live:
        stream = live.chunks()
        next(stream)
        wanted = live.send("action", "d")
        bad = live.send("action", "fly")
        chunk = next(c for c in stream if wanted in c.applied)
        status = {(s.id, s.status): s for s in live.dialogue.controls}
        applied = status[wanted, "applied"]
        assert (applied.seq, applied.chunk) == (chunk.seq, chunk.chunk)
        assert (wanted, "accepted") in status
        assert "fly" in (status[bad, "rejected"].reason or "")
        fast = live.send("preset", "fast")
        assert fast in next(c for c in stream if c.applied).applied


def test_pause_step_rewind_and_fork(server: LiveServer) -> None:
    with server.connect(seed=2, pace="free") as live:
        stream = live.chunks()
        for _ in range(6):
            next(stream)
        live.send("pause")
        live.send("step", 2)
        seen = [next(stream).seq]
        while not any(s.kind == "step" and s.status == "applied" for s in live.dialogue.controls):
            seen.append(next(stream).seq)
        live.send("rewind", 3)
        live.send("fork")
        live.send("resume")
        back = next(c for c in stream if c.chunk == 4)
        assert back.seq > seen[-1], "seq rises, chunk goes back"
        until_forked = next(stream)
        assert until_forked.chunk >= 5
        forked = live.dialogue.forked
        assert forked is not None
        with raw_connect(f"ws://127.0.0.1:{server.port}/v1/stream", subprotocols=[p.VERSION], proxy=None) as socket:  # type: ignore[list-item]
            socket.send(p.Resume(session=forked.session, key=forked.key, formats=["rgb"]).model_dump_json())
            assert p.parse_server(str(socket.recv())).role == "owner"
            socket.send(p.End().model_dump_json())


def test_async_client(server: LiveServer) -> None:
    async def run() -> list[int]:
        async with server.connect(seed=1, pace="free") as live:
            await live.send("action", "a")
            return [chunk.seq async for chunk in live.chunks(5)]

    assert asyncio.run(run()) == [0, 1, 2, 3, 4]


def test_a_late_joiner_sees_a_picture_within_one_chunk(server: LiveServer) -> None:
    for format in ("h264", "jpeg"):
        with server.connect(format="h264") as live:
            stream = live.chunks()
            for _ in range(8):
                next(stream)
            configured = live.dialogue.configured
            assert configured is not None
            began = time.monotonic()
            with server.connect(watch=configured.watch, format=format) as late:
                first = next(late.chunks())
                took = time.monotonic() - began
            assert first.header.key
            assert len(first.frames)
            assert took < 2 / 30 + 0.5, f"{took:.3f} s"  # a chunk period, and room for a busy machine


def test_a_lost_connection_is_resumed_and_nothing_is_made_twice(server: LiveServer, model: Model) -> None:
    expected = np.concatenate([e.payload for e in model.session(seed=8).stream(chunks=12)])
    with server.connect(seed=8, window=4) as live:
        frames, seqs = [], []
        for chunk in live.chunks(12):
            frames.append(chunk.frames)
            seqs.append(chunk.seq)
            if chunk.seq in (3, 7):
                assert live._socket is not None
                live._socket.socket.shutdown(2)  # the network is gone, without a goodbye
        assert seqs == list(range(12))
        assert np.array_equal(np.concatenate(frames), expected)


def test_what_would_cost_too_much_is_refused(server: LiveServer) -> None:
    with server.connect(pace="free", window=1) as live:
        stream = live.chunks()
        ids = {
            live.send("steps", 10**9), live.send("action", "w-999999999"), live.send("action", "w-99999,d-99999"),
            live.send("seed", -1), live.send("rewind", 10**12), live.send("step", 10**6), live.send("preset", "x"),
            live.send("reset", "x" * 4000),
        }  # fmt: skip
        next(stream), next(stream)
        assert {s.id for s in live.dialogue.controls if s.status == "rejected"} >= set(sorted(ids)[:7])
    with pytest.raises(UserError, match="at most"), server.connect(actions="w-999999999"):
        pass


def test_forks_are_counted(model: Model) -> None:
    with LiveServer(model, forks=2) as server, server.connect(pace="free", window=1) as live:
        ids = [live.send("fork") for _ in range(3)]
        stream = live.chunks()
        until(lambda: next(stream) is None or any(s.id == ids[2] for s in live.dialogue.controls))
        status = {s.id: s.status for s in live.dialogue.controls}
        assert status[ids[2]] == "rejected"


def test_watch_writes_a_film(server: LiveServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from unreel.commands.watch import watch

    path = tmp_path / "out.mp4"
    watch(f"ws://127.0.0.1:{server.port}", path, seconds=0.5, view=None, model=None, seed=3, actions="w", token=None)
    assert "frames" in capsys.readouterr().out
    warnings, stream = probe(path)
    assert warnings == ""
    assert int(stream["nb_read_frames"]) >= 8


def test_a_player_watches_one_endless_mp4(server: LiveServer, tmp_path: Path) -> None:
    with server.connect() as live:
        stream = live.chunks()
        for _ in range(3):
            next(stream)
        configured = live.dialogue.configured
        assert configured is not None
        path = tmp_path / "live.mp4"
        with urllib.request.urlopen(f"{server.http}/v1/watch/{configured.watch}.mp4", timeout=10) as film:
            got = b""
            while got.count(b"moof") < 12:
                got += film.read1(65536)
                if live.dialogue.last_seq is not None:
                    next(stream)
        path.write_bytes(got[: got.rindex(b"moof") - 4])
        warnings, probed = probe(path)
        assert warnings == ""
        assert int(probed["nb_read_frames"]) >= 20
    until(lambda: server.site.sockets == 0)


def test_queue_position_and_then_a_place(model: Model) -> None:
    with LiveServer(model, limits=Limits(sessions=1, queue=1)) as server:
        url = f"ws://127.0.0.1:{server.port}/v1/stream"
        with server.connect() as first:
            next(first.chunks())
            with raw_connect(url, subprotocols=[p.VERSION], proxy=None) as second:  # type: ignore[list-item]
                second.send(p.Configure().model_dump_json())
                queued = p.parse_server(str(second.recv()))
                assert (queued.type, queued.position) == ("queued", 1)
                with pytest.raises(UserError, match="full"), server.connect():
                    pass
                first.end()
                assert p.parse_server(str(second.recv())).type == "configured"


def test_recordings_download_while_they_run_and_afterwards(server: LiveServer, tmp_path: Path) -> None:
    with server.connect(seed=3, pace="free") as live:
        configured = live.dialogue.configured
        assert configured is not None
        assert configured.recording is not None
        url = f"{server.http}{configured.recording}?key={configured.key}"
        for _ in live.chunks(10):
            pass
        until(lambda: server.site.recordings.films[configured.session].frames >= 10)
        running = tmp_path / "running.mp4"
        running.write_bytes(get(url))
        assert probe(running)[0] == ""
        made = 20
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(f"{server.http}{configured.recording}?key=wrong-key")
    until(lambda: server.site.recordings.ready(configured.session))
    finished = tmp_path / "finished.mp4"
    finished.write_bytes(get(url))
    warnings, stream = probe(finished)
    assert warnings == ""
    assert int(stream["nb_read_frames"]) >= made
    with av.open(str(finished)) as film:
        assert film.streams.video[0].width >= 16


def test_pages_models_health_and_figures(server: LiveServer) -> None:
    assert b"<canvas" in get(f"{server.http}/")
    assert b"VideoDecoder" in get(f"{server.http}/web/player.js")
    listed = json.loads(get(f"{server.http}/v1/models"))["data"][0]
    assert (listed["id"], listed["actions"][0], listed["presets"]) == ("fake", "none", ["fast"])
    assert json.loads(get(f"{server.http}/healthz"))["status"] == "ok"
    figures = get(f"{server.http}/metrics").decode()
    assert "unreel_chunks_total" in figures
    assert "unreel_sessions " in figures
    for path in ("/web/../server.py", "/web/%2e%2e/server.py", "/etc/passwd", "/v1/sessions/../recording.mp4"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(server.http + path)


@pytest.mark.parametrize("offered", [["unreel.v0"], None])
def test_another_version_is_told_both(server: LiveServer, offered: Any) -> None:
    with raw_connect(f"ws://127.0.0.1:{server.port}/v1/stream", subprotocols=offered, proxy=None) as socket:
        error = p.parse_server(str(socket.recv()))
        assert error.code == "version"
        assert "unreel.v1" in error.message
        assert (offered or ["none"])[0] in error.message


def test_unreel_exports_connect() -> None:
    with pytest.raises(UserError, match="ws://"):
        unreel.connect("http://127.0.0.1")
    with pytest.raises(UserError, match="seed"):
        unreel.connect("ws://127.0.0.1", seed=-1)
    with pytest.raises(UserError, match="cannot connect"), unreel.connect("ws://127.0.0.1:9"):
        pass


def test_a_world_that_is_over_begins_anew_and_clients_are_told(tmp_path: Path) -> None:
    model = fake_model(tmp_path, media=MEDIA, ending={"class": "player", "lost": 2})  # there is never one
    with LiveServer(model) as server:
        with server.connect(seed=5, pace="free") as live:
            chunks = list(live.chunks(5))
            told = live.dialogue.controls
        assert [chunk.applied for chunk in chunks] == [[], [], ["restart-2"], [], ["restart-4"]]
        assert [(chunk.chunk, chunk.seq) for chunk in chunks] == [(i, i) for i in range(5)]
        assert [(c.id, c.kind, c.status, c.chunk, c.seq) for c in told] == [
            (f"restart-{i}", "restart", "applied", i, i) for i in (2, 4)
        ]
        with server.connect(seed=5, pace="free", restart=False) as live:
            assert not any(chunk.applied for chunk in live.chunks(5))


def test_a_restart_is_nothing_that_is_sent(server: LiveServer) -> None:
    with pytest.raises(ValueError, match="kind"):
        p.Control(kind="restart")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="no ending"), server.connect(restart=True):
        pass
