"""streaming/uploads.py and views.py: photos and clips as views, bounded, and one clear line for what cannot be used."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
from PIL import Image

from tests.streaming.live import LiveServer, until
from tests.streaming.painted import painted_model
from unreel.engine.errors import UserError
from unreel.streaming import uploads
from unreel.streaming.present import panorama
from unreel.streaming.views import Views


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with LiveServer(painted_model(), view_bytes=300_000) as live:
        yield live


def photo(width: int = 64, height: int = 48) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), 120, np.uint8)).save(out, "JPEG")
    return out.getvalue()


def clip(folder: Path, frames: int = 24, fps: int = 24) -> bytes:
    path = folder / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(frames):
            picture = np.full((48, 64, 3), number * 10 % 256, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path.read_bytes()


def send(server: LiveServer, file: bytes | None, **fields: Any) -> httpx.Response:
    files: dict[str, Any] = {} if file is None else {"file": ("whatever/../name.bin", file)}
    if "camera" in fields:
        files["camera"] = ("track.json", fields.pop("camera"))
    data = {name: str(value) for name, value in fields.items()}
    return httpx.post(f"{server.http}/v1/views", files=files or {"nothing": b""}, data=data, timeout=20)


def test_a_photo_is_what_the_world_begins_from(server: LiveServer) -> None:
    answer = send(server, photo(), yaw=90, fov=60)
    assert answer.status_code == 201, answer.text
    view = answer.json()
    assert (view["frames"], view["width"], view["height"]) == (1, 56, 42), "no finer than the faces need"
    with server.connect(view=view["id"], format="jpeg", pace="free", place="street") as live:
        stream = live.chunks()
        first = next(stream)
        assert first.header.region == "R", "the face that is known best comes first"
        assert first.header.camera is not None
        assert first.header.camera[:4] == [0, 0, 90, 60]
        taken = live.send("view", None)
        other = live.send("view", "no-such-view")
        chunk = next(c for c in stream if taken in c.applied)
        status = {s.id: s for s in live.dialogue.controls}
        assert status[other].status == "rejected"
        assert "POST /v1/views" in (status[other].reason or "")
        assert chunk.header.key, "the first face of a window"


def test_a_clip_plays_at_the_models_rate_with_its_track(server: LiveServer, tmp_path: Path) -> None:
    track = json.dumps({"fov": 70, "frames": [[0, 0, n] for n in range(24)]}).encode()
    answer = send(server, clip(tmp_path), camera=track)
    assert answer.status_code == 201, answer.text
    assert answer.json()["frames"] == 8, "one second at 8 frames/s"
    value = server.hub.views.get(answer.json()["id"], "fake")
    assert value is not None
    assert [round(float(camera[2])) for camera in value["cameras"]] == [0, 3, 6, 9, 12, 15, 18, 21]


def test_what_cannot_be_used_is_refused_in_one_line(server: LiveServer, tmp_path: Path) -> None:
    faults = [
        (send(server, None), 400, "file"),
        (send(server, b"#EXTM3U\n/etc/passwd\n"), 400, "neither a picture nor"),
        (send(server, b"\0\0\0\x20ftypisom" + bytes(200)), 400, "cannot be read"),
        (send(server, photo(), fov=200), 400, "field of view"),
        (send(server, photo(), fov="wide"), 400, "number of degrees"),
        (send(server, photo(), model="other"), 400, "models here"),
        (send(server, photo(), camera=b"not json"), 400, "not JSON"),
        (send(server, clip(tmp_path), camera=b'{"fov": 70, "frames": [[0, 0, 0]]}'), 400, "frames"),
        (send(server, bytes(400_000)), 413, "MB"),
    ]
    for answer, status, words in faults:
        error = answer.json()["error"]
        assert (answer.status_code, words in error["message"]) == (status, True), error
        assert "\n" not in error["message"]
        assert tempfile.gettempdir() not in error["message"], "no path of this machine"
    assert not list(Path(tempfile.gettempdir()).glob("unreel-view-*"))


def test_an_upload_without_a_length_is_bounded_too(server: LiveServer) -> None:
    def endless() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(100):
            yield bytes(10_000)

    headers = {"content-type": "multipart/form-data; boundary=x"}
    try:
        answer = httpx.post(f"{server.http}/v1/views", content=endless(), headers=headers, timeout=20)
        assert answer.status_code == 413
    except httpx.TransportError:
        pass  # the server hung up on it


def test_vast_pictures_and_long_clips_are_not_decoded(
    server: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(panorama, "HELD", 100_000)
    assert "send a shorter one" in send(server, clip(tmp_path), fov=170).json()["error"]["message"]
    monkeypatch.setattr(uploads, "FRAMES", 10)
    assert "at most 10 frames" in send(server, clip(tmp_path)).json()["error"]["message"]
    monkeypatch.setattr(uploads, "PIXELS", 1000)
    assert "million pixels" in send(server, photo()).json()["error"]["message"]


def test_views_are_few_and_forgotten() -> None:
    now, names = [0.0], iter(["one", "two", "three"])
    views = Views(lambda: next(names), keep_s=10, most=2, clock=lambda: now[0])
    for number in range(3):
        views.put("m", {"n": number})
    assert views.get("three", "m") == {"n": 2}
    assert views.get(None, "m") is None
    for id, model in (("one", "m"), ("two", "other"), (5, "m")):
        with pytest.raises(UserError, match="no view"):
            views.get(id, model)
    now[0] = 11.0
    with pytest.raises(UserError, match="too old"):
        views.get("two", "m")


def test_jobs_take_a_view_and_a_place_and_make_whole_windows(server: LiveServer) -> None:
    view = send(server, photo()).json()["id"]
    url = f"{server.http}/v1/videos"
    assert "no view with this name" in httpx.post(url, json={"view": "not-there-at-all"}).json()["error"]["message"]
    job = httpx.post(url, json={"seconds": 1, "view": view, "prompt": "garden"}).json()
    assert "id" in job, job
    until(lambda: httpx.get(f"{url}/{job['id']}").json()["status"] == "completed", 20)
    with av.open(io.BytesIO(httpx.get(f"{url}/{job['id']}/content").content)) as film:
        assert sum(1 for _ in film.decode(video=0)) == 8
    refused = httpx.post(url, json={"seconds": 1, "prompt": "moon"}).json()
    assert "id" in refused
    until(lambda: httpx.get(f"{url}/{refused['id']}").json()["status"] == "failed", 20)
    assert "garden, street" in httpx.get(f"{url}/{refused['id']}").json()["error"]["message"]
