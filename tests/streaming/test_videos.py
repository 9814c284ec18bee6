"""/v1/videos, driven by OpenAI's own client."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest
from fake import fake_model

from tests.streaming.live import LiveServer

openai = pytest.importorskip("openai")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    model = fake_model(tmp_path_factory.mktemp("fake"), media={"fps": 10, "height": 16, "width": 16})
    with LiveServer(model, token="a-long-enough-token") as live:
        yield live


@pytest.fixture
def client(server: LiveServer) -> Iterator[Any]:
    with openai.OpenAI(base_url=f"{server.http}/v1", api_key="a-long-enough-token", max_retries=0) as made:
        yield made


def finished(client: Any, video: Any) -> Any:
    deadline = time.monotonic() + 20
    while video.status in ("queued", "in_progress"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
        video = client.videos.retrieve(video.id)
    return video


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_create_poll_download_list_delete(client: Any, tmp_path: Path) -> None:
    video = client.videos.create(model="fake", prompt="w-10,none-5", seconds="2", extra_body={"seed": 4})
    assert video.object == "video"
    video = finished(client, video)
    assert (video.status, video.progress, video.seconds, video.size) == ("completed", 100, "2", "16x16")
    path = tmp_path / "film.mp4"
    client.videos.download_content(video.id).write_to_file(path)
    with av.open(str(path)) as film:
        assert sum(1 for _ in film.decode(video=0)) == 20
    assert [one.id for one in client.videos.list()] == [video.id]
    assert client.videos.delete(video.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.videos.retrieve(video.id)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_bad_wishes_are_refused_in_words(client: Any) -> None:
    for wish, words in (
        ({"prompt": "a cat"}, "knows the actions"),
        ({"prompt": "", "size": "1280x720"}, "16x16"),
        ({"prompt": "", "model": "sora-2"}, "models here"),
        ({"prompt": "", "seconds": "100000"}, "at most"),
        ({"prompt": "", "extra_body": {"start": "/etc/passwd"}}, "start"),
        ({"prompt": "", "extra_body": {"colour": "red"}}, "colour"),
        ({"prompt": "", "extra_body": {"preset": "nope"}}, "no preset"),
    ):
        try:
            video = finished(client, client.videos.create(**wish))
            assert video.status == "failed"
            message = video.error.message
        except openai.BadRequestError as error:
            message = str(error)
        assert words in message, message


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_running_job_is_deleted_and_its_place_is_free(client: Any, server: LiveServer) -> None:
    video = client.videos.create(prompt="", seconds="500")
    with pytest.raises(openai.APIStatusError, match="409"):
        client.videos.download_content(video.id)
    client.videos.delete(video.id)
    deadline = time.monotonic() + 10
    while server.worker.seats or server.site.studio.desks:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_too_many_jobs_are_told_when_to_come_back(server: LiveServer) -> None:
    headers = {"Authorization": "Bearer a-long-enough-token", "Content-Type": "application/json"}
    body = json.dumps({"prompt": "", "seconds": 500}).encode()
    ids = []
    try:
        with pytest.raises(urllib.error.HTTPError) as refused:
            for _ in range(20):
                request = urllib.request.Request(f"{server.http}/v1/videos", body, headers)
                with urllib.request.urlopen(request, timeout=5) as answer:
                    ids.append(json.loads(answer.read())["id"])
        assert refused.value.code == 429
        assert int(refused.value.headers["Retry-After"]) >= 1
        refused.value.close()
    finally:
        for id in ids:
            request = urllib.request.Request(f"{server.http}/v1/videos/{id}", headers=headers, method="DELETE")
            urllib.request.urlopen(request, timeout=5).close()


def test_bodies_are_bounded_whatever_they_claim(server: LiveServer) -> None:
    headers = {"Authorization": "Bearer a-long-enough-token", "Content-Type": "application/json"}
    chunked = (b"x" * 10_000 for _ in range(100))  # no Content-Length
    for body, code in ((chunked, 413), (b"y" * 2_000_000, 413), (b"{", 400), (b"[]", 400), (b"\xff", 400)):
        request = urllib.request.Request(f"{server.http}/v1/videos", body, headers, method="POST")  # type: ignore[arg-type]
        with pytest.raises(urllib.error.URLError) as refused:  # not an HTTPError where the server hung up amid it
            urllib.request.urlopen(request, timeout=5)
        if isinstance(refused.value, urllib.error.HTTPError):
            assert refused.value.code == code
            refused.value.close()
        else:
            assert code == 413
