"""The page in a real browser (Debian's Chromium through Playwright): it plays, obeys, pauses, resumes and shares."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from fake import fake_model

from tests.streaming.live import LiveServer, until
from unreel.engine.batch import Limits

CHROMIUM = next(filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "google-chrome"))), None)
SETPRIV = shutil.which("setpriv")
FLAGS = [
    "--no-sandbox", "--no-zygote", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
pytestmark = pytest.mark.browser
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
if CHROMIUM is None:
    pytest.skip("chromium is not installed (make system)", allow_module_level=True)

PIXELS = """() => { const c = document.getElementById("screen");
  return [...c.getContext("2d").getImageData(0, 0, c.width, c.height).data]; }"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    model = fake_model(tmp_path_factory.mktemp("fake"), media={"fps": 15, "height": 32, "width": 32})
    with LiveServer(model, limits=Limits(sessions=8), resume_s=5.0) as live:
        yield live


def calm(program: str, folder: Path) -> str:
    """``program`` without the right to raise its priority, as root's Chromium does: it has starved its own driver."""
    if SETPRIV is None or subprocess.run([SETPRIV, "--bounding-set=-sys_nice", "true"], capture_output=True).returncode:
        return program  # not root, so there is no such right to give up
    wrapper = folder / "chromium"
    wrapper.write_text(f'#!/bin/sh\nexec {SETPRIV} --bounding-set=-sys_nice {program} "$@"\n')
    wrapper.chmod(0o755)
    return str(wrapper)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    program = calm(str(CHROMIUM), tmp_path_factory.mktemp("browser"))
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=program, headless=True, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A tab of its own; whatever the page complains of fails the test."""
    context = browser.new_context(viewport={"width": 1100, "height": 760})
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    opened.on("request", lambda request: complaints.append(request.url) if "127.0.0.1" not in request.url else None)
    yield opened
    opened.close()
    context.close()
    assert complaints == []


def data(page: Any) -> dict[str, str]:
    found: dict[str, str] = page.evaluate("({...document.body.dataset})")
    return found


def drawn(page: Any) -> int:
    return int(data(page)["frames"])


def wait(page: Any, condition: str) -> None:
    """Until a condition holds; asked from outside, since the page's own policy forbids eval."""
    deadline = time.monotonic() + 20
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, f"never true: {condition}; {data(page)}"
        page.wait_for_timeout(30)


def playing(page: Any, more: int = 5) -> None:
    wait(page, f"Number(document.body.dataset.frames) >= {drawn(page) + more}")


def picture(page: Any) -> np.ndarray:
    return np.array(page.evaluate(PIXELS), dtype=int).reshape(-1, 4)[:, :3]


@pytest.mark.parametrize("format", ["h264", "jpeg"])
def test_it_plays_and_frames_change(server: LiveServer, page: Any, format: str) -> None:
    page.goto(f"{server.http}/{'?format=jpeg' if format == 'jpeg' else ''}")
    playing(page)
    assert format in page.inner_text("#hud-format"), "Debian's Chromium decodes H.264 with WebCodecs"
    first = picture(page)
    playing(page, 6)
    assert np.abs(picture(page) - first).mean() > 1
    assert page.inner_text("#status") == "Live"
    wait(page, "parseFloat(document.getElementById('hud-fps').textContent) > 8")


def test_a_key_is_acknowledged_and_changes_the_picture(server: LiveServer, page: Any) -> None:
    """Three steps from the same origin: twice alike without a key, and another picture with D held."""
    page.goto(server.http)
    playing(page)
    page.keyboard.press("p")
    wait(page, "document.body.dataset.state === 'paused'")
    page.wait_for_timeout(300)  # what was under way is drawn

    def three_steps() -> np.ndarray:
        page.click("#reset")
        for _ in range(3):
            before = drawn(page)
            page.click("#step")
            wait(page, f"Number(document.body.dataset.frames) >= {before + 2}")
        return picture(page)

    plain, again = three_steps(), three_steps()
    page.focus("#screen")
    page.keyboard.down("d")
    wait(page, "document.body.dataset.control === 'action accepted'")
    assert page.get_attribute("[data-key=d]", "class") == "key right held"
    steered = three_steps()
    page.keyboard.up("d")
    noise, effect = np.abs(plain - again).mean(), np.abs(plain - steered).mean()
    assert effect > 1, f"mean difference {effect:.2f}"
    assert effect > 3 * noise, f"{effect:.2f} against {noise:.2f}"


def test_control_to_picture_is_shown(server: LiveServer, page: Any) -> None:
    page.goto(server.http)
    playing(page)
    page.keyboard.down("ArrowUp")
    wait(page, "document.body.dataset.latency !== undefined")
    page.keyboard.up("ArrowUp")
    assert page.inner_text("#hud-latency").endswith(" ms")
    assert int(data(page)["latency"]) < 2000


def test_pause_stops_it_and_reload_resumes(server: LiveServer, page: Any) -> None:
    page.goto(server.http)
    playing(page)
    session = data(page)["session"]
    page.click("#pause")
    wait(page, "document.body.dataset.state === 'paused'")
    page.wait_for_timeout(400)
    stopped = drawn(page)
    page.wait_for_timeout(600)
    assert drawn(page) == stopped
    assert page.get_attribute("#pause", "aria-pressed") == "true"
    page.reload()
    wait(page, "document.body.dataset.state === 'paused'")
    wait(page, "Number(document.body.dataset.frames) >= 1")
    assert data(page)["session"] == session, "the same world"
    page.click("#pause")
    playing(page, 8)


def test_an_ended_session_says_so_and_a_reload_begins_anew(server: LiveServer, page: Any) -> None:
    page.goto(server.http)
    playing(page)
    session = data(page)["session"]
    for connection in list(server.hub.connections):
        loop = server.site._loop
        assert loop is not None
        loop.call_soon_threadsafe(
            connection.close,
            "slow",
            "gone",
        )  # without session_kept: made below
    wait(page, "document.body.dataset.state === 'over'")
    page.reload()
    playing(page)
    assert data(page)["session"] != session


def test_a_lost_connection_is_taken_up_again(server: LiveServer, page: Any) -> None:
    page.goto(server.http)
    playing(page)
    session, loop = data(page)["session"], server.site._loop
    assert loop is not None

    def cut() -> None:
        for connection in list(server.hub.connections):
            server.hub.leave(connection, server.site.clock())
            connection.close("slow", kept=True)

    loop.call_soon_threadsafe(cut)
    wait(page, "document.body.dataset.state === 'connecting'")
    playing(page, 10)
    assert data(page)["session"] == session


def test_new_world_and_watching(server: LiveServer, page: Any) -> None:
    page.goto(server.http)
    playing(page)
    first = data(page)["session"]
    page.fill("#seed", "11")
    page.click("#world button")
    wait(page, f"document.body.dataset.session !== '{first}'")
    playing(page)
    assert first not in server.hub.rooms, "the old world has ended"
    room = server.hub.rooms[data(page)["session"]]
    viewer = page.context.new_page()
    viewer.goto(f"{server.http}/#watch={room.watch}")
    wait(viewer, "Number(document.body.dataset.frames) >= 5")
    assert data(viewer)["role"] == "viewer"
    assert not viewer.is_visible("#pause")
    viewer.close()


def test_the_recording_downloads(server: LiveServer, page: Any, tmp_path: Path) -> None:
    page.goto(server.http)
    playing(page, 10)
    with page.expect_download() as download:
        page.click("#download")
    path = tmp_path / "film.mp4"
    download.value.save_as(path)
    with av.open(str(path)) as film:
        assert sum(1 for _ in film.decode(video=0)) >= 8


def test_keyboard_alone_and_labels(server: LiveServer, page: Any) -> None:
    page.goto(server.http)
    playing(page)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, a, canvas")].filter((e) => !e.hidden &&
        !(e.ariaLabel || e.textContent.trim() || e.labels?.length)).map((e) => e.outerHTML)"""
    )
    assert [html for html in nameless if "username" not in html] == []
    page.focus("[data-key=w]")
    page.keyboard.down("Enter")
    wait(page, "document.querySelector('[data-key=w]').classList.contains('held')")
    page.keyboard.up("Enter")
    wait(page, "!document.querySelector('[data-key=w]').classList.contains('held')")


def test_it_fits_a_phone(server: LiveServer, browser: Any) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True)
    page = context.new_page()
    page.goto(server.http)
    playing(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.locator("[data-key=d]").dispatch_event("pointerdown", {"pointerId": 1, "pointerType": "touch"})
    context.close()


def test_a_token_is_asked_for(browser: Any, tmp_path: Path) -> None:
    model = fake_model(tmp_path / "fake", media={"fps": 15, "height": 32, "width": 32})
    with LiveServer(model, token="open-sesame") as server:
        page = browser.new_page()
        page.goto(server.http)
        page.wait_for_selector("#ask[open]")
        page.fill("#token", "open-sesame")
        page.click("#ask button")
        playing(page)
        page.close()
        until(lambda: server.site.sockets == 0)
