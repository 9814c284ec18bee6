"""What goes wrong on purpose: after each fault the others play on and nothing is left behind."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from fake import fake_model, write_folder
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect as raw_connect

from tests.streaming.live import LiveServer, until
from tests.streaming.test_server import probe
from unreel.engine.errors import UserError
from unreel.engine.model import Model
from unreel.streaming import protocol as p
from unreel.streaming.client import connect
from unreel.streaming.config import ServerConfig
from unreel.streaming.media import Encoded, open_encoder

MEDIA = {"fps": 30, "height": 16, "width": 16}
SUB: Any = [p.VERSION]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return fake_model(tmp_path_factory.mktemp("fake"), media=MEDIA)


@pytest.fixture(scope="module")
def server(model: Model) -> Iterator[LiveServer]:
    with LiveServer(model, resume_s=0.2, ping_s=0.4, stall_s=30, mistakes=3) as live:
        with live.connect(pace="free") as warm:  # first use of everything
            for _ in warm.chunks(3):
                pass
        until(lambda: not live.site.studio.desks)
        yield live


@pytest.fixture
def clean(server: LiveServer) -> Iterator[None]:
    """Whatever the test does, the server holds no more afterwards."""
    before = server.held()
    yield
    left = {"not": 1}

    def gone() -> bool:
        nonlocal left
        left = {name: n for name, n in server.held().items() if n > before[name]}
        return not left

    try:
        until(gone)
    except AssertionError:
        pytest.fail(f"left behind: {left}, before: {before}")


def raw(server: LiveServer) -> socket.socket:
    """A websocket as a naked TCP connection, its handshake done."""
    sock = socket.create_connection(("127.0.0.1", server.port), timeout=5)
    sock.sendall(
        b"GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Protocol: unreel.v1\r\n\r\n"
    )
    assert b" 101 " in sock.recv(4096)
    return sock


def frame(text: str) -> bytes:
    """A masked text frame (mask 0)."""
    data = text.encode()
    return bytes([0x81, 0x80 | 126]) + struct.pack(">H", len(data)) + bytes(4) + data


@pytest.mark.usefixtures("clean")
def test_a_client_killed_mid_chunk(server: LiveServer) -> None:
    with server.connect(pace="free", window=2) as other:
        sock = raw(server)
        sock.sendall(frame(p.Configure(formats=["rgb"], pace="free").model_dump_json()))
        sock.recv(100)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()  # RST
        assert len(list(other.chunks(20))) == 20


@pytest.mark.usefixtures("clean")
def test_a_half_open_socket_is_noticed(server: LiveServer) -> None:
    """A client that is gone without a word: it neither reads, nor answers pings, nor closes."""
    sock = raw(server)
    sock.sendall(frame(p.Configure(formats=["rgb"], pace="free").model_dump_json()))
    until(lambda: server.site.sockets == 1)
    with server.connect(pace="free") as other:
        assert len(list(other.chunks(10))) == 10
    until(lambda: server.site.sockets == 0, 5)
    sock.close()


@pytest.mark.usefixtures("clean")
def test_oversize_messages(server: LiveServer) -> None:
    with raw_connect(f"ws://127.0.0.1:{server.port}/v1/stream", subprotocols=SUB, proxy=None) as live:
        with pytest.raises(ConnectionClosed) as closed:
            live.send("x" * 2_000_000)
            while True:
                live.recv(timeout=5)
        assert closed.value.rcvd is None or closed.value.rcvd.code in (1002, 1009)


@pytest.mark.usefixtures("clean")
def test_malformed_messages_on_a_real_socket(server: LiveServer) -> None:
    with raw_connect(f"ws://127.0.0.1:{server.port}/v1/stream", subprotocols=SUB, proxy=None) as live:
        answers = []
        with pytest.raises(ConnectionClosed):
            for bad in ("{", b"\x00\xff", "[1]", '{"type":"configure","seed":"x"}'):
                live.send(bad)
            while True:
                answers.append(p.parse_server(str(live.recv(timeout=5))))
    assert [a.type for a in answers] == ["error"] * 4 + ["closing"]


@pytest.mark.parametrize("token", [None, "wrong-token", "a-right-tokeN"])
def test_wrong_token(model: Model, token: str | None) -> None:
    with LiveServer(model, token="a-right-token") as server:
        with pytest.raises(UserError, match="401"), server.connect(token=token):
            pass
        with raw_connect(f"ws://127.0.0.1:{server.port}/v1/stream?token=a-right-token", subprotocols=SUB, proxy=None):
            pass
        with server.connect(token="a-right-token", pace="free") as live:
            assert len(list(live.chunks(1))) == 1


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize(
    "headers", [{"Origin": "https://elsewhere.example"}, {"Origin": "null"}, {"Host": "rebound.example"}]
)
def test_foreign_pages(server: LiveServer, headers: dict[str, str]) -> None:
    if "Host" in headers:
        sock = socket.create_connection(("127.0.0.1", server.port), timeout=5)
        sock.sendall(b"GET /v1/models HTTP/1.1\r\nHost: rebound.example\r\nConnection: close\r\n\r\n")
        assert b" 403 " in sock.recv(4096)
        sock.close()
        return
    with (
        pytest.raises(InvalidStatus) as refused,
        raw_connect(
            f"ws://127.0.0.1:{server.port}/v1/stream", subprotocols=SUB, additional_headers=headers, proxy=None
        ),
    ):
        pass
    assert refused.value.response.status_code == 403


def test_hosts_of_others_need_a_token() -> None:
    with pytest.raises(UserError, match="--token"):
        ServerConfig(host="0.0.0.0")
    ServerConfig(host="0.0.0.0", insecure=True)
    with pytest.raises(UserError, match="8 characters"):
        ServerConfig(host="0.0.0.0", token="short")


@pytest.mark.usefixtures("clean")
def test_two_clients_resume_one_session(server: LiveServer) -> None:
    url = f"ws://127.0.0.1:{server.port}/v1/stream"
    with server.connect(pace="free", window=2) as first:
        stream = first.chunks()
        next(stream)
        configured = first.dialogue.configured
        assert configured is not None
        assert configured.key is not None
        resume = p.Resume(session=configured.session, key=configured.key, formats=["rgb"], window=2)
        with raw_connect(url, subprotocols=SUB, proxy=None) as second:
            second.send(resume.model_dump_json())
            assert p.parse_server(str(second.recv())).role == "owner"
            with pytest.raises(UserError, match="replaced"):
                for _ in stream:
                    pass
            second.send(p.End().model_dump_json())


class Moody:
    """An encoder that fails when told to; only the one for H.264 does."""

    faults = 0

    def __init__(self, format: str, *size: Any) -> None:
        self.format, self.inner = format, open_encoder(format, *size)

    def encode(self, frames: Any, key: bool) -> Encoded:
        if Moody.faults and self.format == "h264":
            Moody.faults -= 1
            raise RuntimeError("the encoder has had enough")
        return self.inner.encode(frames, key)

    def describe(self) -> Any:
        return self.inner.describe()


def test_encoder_failure(model: Model) -> None:
    """Once: a new encoder goes on with a key. Twice in a row: this session ends in words, the recording is whole."""
    with LiveServer(model, parts={"encoders": Moody}) as server, server.connect(format="h264", pace="free") as live:
        stream = live.chunks()
        for _ in range(4):
            next(stream)
        Moody.faults = 1
        until(lambda: Moody.faults == 0 or next(stream) is None)
        assert next(c for c in stream if c.header.key).seq > 3
        with server.connect(seed=2, pace="free", window=1) as other:
            next(other.chunks())
            configured = live.dialogue.configured
            assert configured is not None
            Moody.faults = 2
            with pytest.raises(UserError, match="could not be encoded|encoder"):
                for _ in stream:
                    pass
            Moody.faults = 0
        until(lambda: server.site.recordings.ready(configured.session))
        with av.open(str(server.site.recordings.films[configured.session].path)) as film:
            assert sum(1 for _ in film.decode(video=0)) >= 10


@pytest.mark.usefixtures("clean")
def test_backbone_exception_in_one_of_four(server: LiveServer, model: Model) -> None:
    """The broken one ends with a clear error and no stack trace; the other three go on as if it had never been."""
    ends: dict[int, str] = {}
    pictures: dict[int, np.ndarray] = {}
    ready = threading.Barrier(5)

    def play(seed: int) -> None:
        try:
            with server.connect(seed=seed, pace="free", window=1, record=False) as live:
                stream = live.chunks(12)
                parts = [next(stream).frames]
                ready.wait(10)
                ready.wait(10)
                parts += [chunk.frames for chunk in stream]
            pictures[seed], ends[seed] = np.concatenate(parts), "played"
        except UserError as error:
            ends[seed] = str(error)

    threads = [threading.Thread(target=play, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    ready.wait(10)
    victim = next(s.session for s in server.worker.batch.running if s.session and s.session.settings.seed == 2)
    victim.state.contexts["main"].layers = ()  # type: ignore[assignment]
    ready.wait(10)
    for thread in threads:
        thread.join(20)
    assert {seed: end for seed, end in ends.items() if seed != 2} == {0: "played", 1: "played", 3: "played"}
    assert "failed: the session failed in the model (" in ends[2]
    assert "Traceback" not in ends[2]
    for seed in (0, 1, 3):
        expected = np.concatenate([e.payload for e in model.session(seed=seed).stream(chunks=12)])
        assert np.abs(pictures[seed].astype(int) - expected.astype(int)).max() <= 1


@pytest.mark.usefixtures("clean")
def test_a_hundred_visits_leave_nothing_behind(server: LiveServer) -> None:
    for number in range(100):
        sock = raw(server)
        if number % 2:
            sock.sendall(frame(p.Configure(formats=["rgb"]).model_dump_json()))
        if number % 3 == 0:
            sock.sendall(bytes([0x88, 0x80, 0, 0, 0, 0]))  # a polite close
        sock.close()


def test_sigterm_under_load(tmp_path: Path) -> None:
    """Clients hear why, the process ends with 0, and the films hold at least every frame that was seen."""
    folder = write_folder(tmp_path / "fake", media=MEDIA)
    films = tmp_path / "films"
    with socket.create_server(("127.0.0.1", 0)) as probe_socket:
        port = probe_socket.getsockname()[1]
    command = [sys.executable, "-m", "unreel", "serve", "--model", str(folder), "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--recordings", str(films)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    seen: dict[str, int] = {}
    ends: list[str] = []

    def play(seed: int) -> None:
        with connect(f"ws://127.0.0.1:{port}", seed=seed, pace="free") as live:
            configured = live.dialogue.configured
            assert configured is not None
            for chunk in live.chunks():
                seen[configured.session] = seen.get(configured.session, 0) + len(chunk.frames)
            ends.append(live.dialogue.over)

    try:
        assert process.stdout is not None
        assert "http://127.0.0.1" in process.stdout.readline()
        until(lambda: _listens(port), 20)
        threads = [threading.Thread(target=play, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        until(lambda: len(seen) == 4 and min(seen.values()) >= 20, 20)
        process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join(20)
        assert process.wait(20) == 0, process.stdout.read()
    finally:
        process.kill()
        output = process.communicate()[0]
    assert ends == ["shutdown"] * 4, output
    assert output == "", "nothing went wrong on the way"
    assert sorted(path.name for path in films.iterdir()) == sorted(f"{id}.mp4" for id in seen)
    for id, frames in seen.items():
        warnings, stream = probe(films / f"{id}.mp4")
        assert warnings == ""
        assert int(stream["nb_read_frames"]) >= frames


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        time.sleep(0.05)
        return False
    return True
