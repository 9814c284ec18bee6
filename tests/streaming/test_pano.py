"""The panorama page in a real browser: six marked faces where they belong, and everything one does with them."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from fake import fake_model
from PIL import Image

from tests.streaming.live import LiveServer
from tests.streaming.painted import CAMERA, MAGENTA, PAINT, painted_model
from unreel.engine.batch import Limits
from unreel.modalities.media.spherical import read_spherical

pytestmark = pytest.mark.browser
test_page = pytest.importorskip("tests.streaming.test_page", reason="needs playwright and chromium (make system)")
browser, page, data, wait, playing = (
    getattr(test_page, name) for name in ("browser", "page", "data", "wait", "playing")
)

HEADINGS = {"F": (0, 0), "R": (90, 0), "B": (180, 0), "L": (-90, 0), "U": (0, 90), "D": (0, -90)}


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with LiveServer(painted_model(), limits=Limits(sessions=8), resume_s=5.0) as live:
        yield live


def look(page: Any, yaw: float, pitch: float = 0.0, fov: float = 90.0) -> None:
    page.evaluate(f"document.getElementById('pano').look.set({{ yaw: {yaw}, pitch: {pitch}, roll: 0, fov: {fov} }})")


def pixel(page: Any, x: float, y: float) -> np.ndarray:
    """The colour at a place of the canvas, 0..1 from the top left."""
    return np.array(page.evaluate(f"document.getElementById('pano').player.pixel({x}, {y})"), dtype=int)


def at(page: Any, right: float, up: float, fov: float = 90.0) -> np.ndarray:
    """The colour so many degrees to the right of and above the middle of the canvas."""
    wide, high = page.evaluate("(({ width, height }) => [width, height])(document.getElementById('pano'))")
    scale = 0.5 / np.tan(np.radians(fov) / 2) * max(wide, high)
    return pixel(page, 0.5 + np.tan(np.radians(right)) * scale / wide, 0.5 - np.tan(np.radians(up)) * scale / high)


def near(colour: np.ndarray, wanted: Any, most: int = 40) -> bool:
    return int(np.abs(colour - np.array(wanted)).max()) <= most


def shows(page: Any, face: str, patience: float = 10.0) -> bool:
    """Whether the face's own colour is there, in time: who joins amid a window gets its faces as they are made."""
    until = time.monotonic() + patience
    while not (there := near(at(page, 20, 20), PAINT[face])) and time.monotonic() < until:
        page.wait_for_timeout(100)
    return there


def ready(page: Any, server: LiveServer, path: str = "/") -> None:
    page.goto(f"{server.http}{path}")
    wait(page, "Number(document.body.dataset.window) >= 8")  # two windows are whole


def test_six_marked_faces_are_where_they_belong(server: LiveServer, page: Any) -> None:
    """Colour, the white bar at a face's top and the black one at its right, at six headings and over the seams."""
    ready(page, server)
    page.click("#outline")  # the outline would colour what is read
    for face, (yaw, pitch) in HEADINGS.items():
        look(page, yaw, pitch)
        assert data(page)["facing"] == face
        assert near(at(page, 20, 20), PAINT[face]), face
        assert near(at(page, -20, -20), PAINT[face]), face
        look(page, yaw, pitch, fov=110)
        assert near(at(page, 0, 34.5, 110), (255, 255, 255)), f"{face} has its top at the top"
        look(page, yaw, pitch)
        assert near(at(page, 33, 0), (0, 0, 0)), f"{face} has its right at the right"
    look(page, 0, 75)  # up from ahead: F's sky is U's bottom, so its black bar is to the right
    assert near(at(page, 20, 5), PAINT["U"])
    look(page, 0, -75)
    assert near(at(page, 20, 5), PAINT["D"])


def test_of_the_first_window_faces_appear_as_they_come_and_later_ones_change_together(page: Any) -> None:
    model = painted_model(architecture={"class": "idle", "pause": 0.25})
    with LiveServer(model, limits=Limits(sessions=1)) as slow:
        page.goto(slow.http)
        wait(page, "document.querySelectorAll('.cell.made').length >= 2")
        assert near(at(page, 20, 20), PAINT["F"]), "it is there, although others are not"
        assert page.locator(".cell.making").count() == 1
        look(page, 0, -90)
        assert pixel(page, 0.6, 0.6).max() < 40, "nothing is known below yet"
        wait(page, "Number(document.body.dataset.window) === 4")
        at_once = """() => {
            const { shown, filling } = document.getElementById('pano').player;
            return [Number(document.body.dataset.window), shown.start, filling?.made.length];
        }"""
        seen = set()
        while (now := page.evaluate(at_once))[0] == 4:
            seen.add(tuple(now[1:]))
            page.wait_for_timeout(40)
        assert {start for start, count in seen if count} == {0}, "the window before stays until the next is whole"


def test_strips_patch_the_rims(server: LiveServer, page: Any) -> None:
    ready(page, server)
    page.click("#outline")
    look(page, 42.5)  # F's right rim, mended when R was made
    assert near(pixel(page, 0.5, 0.5), MAGENTA)
    look(page, 47.5)  # R's left rim: R came later
    assert near(pixel(page, 0.5, 0.5), PAINT["R"]) or near(pixel(page, 0.5, 0.5), (0, 0, 0))


def test_frames_play_and_windows_change_together(server: LiveServer, page: Any) -> None:
    ready(page, server)
    levels = set()
    for _ in range(40):
        levels.add(int(pixel(page, 0.5, 0.5)[0]) // 6)
        page.wait_for_timeout(60)
    assert len(levels) >= 8, "the square gets lighter with every frame"
    wait(page, "parseFloat(document.getElementById('hud-fps').textContent) > 6")


def test_dragging_wheel_and_keys_turn_and_zoom(server: LiveServer, page: Any) -> None:
    ready(page, server)
    box = page.locator("#pano").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - box["width"] / 2, y + 40, steps=5)
    page.mouse.up()

    def now() -> Any:
        return page.evaluate("(({ yaw, pitch, fov }) => [yaw, pitch, fov])(document.getElementById('pano').look)")

    yaw, pitch, fov = now()
    assert 35 < yaw < 60, "the world follows the hand: dragged to the left, one looks to the right"
    assert pitch > 2
    page.mouse.wheel(0, 300)
    assert now()[2] > fov
    page.focus("#pano")
    page.keyboard.press("Home")
    assert now() == [0, 0, 90]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("+")
    assert now()[:2] == [5, 5]
    assert now()[2] < 90
    assert "ahead" in page.inner_text("#compass-text")
    page.click("#ahead")
    for _ in range(40):
        page.click("#closer")
    assert now()[2] == 30, "there is an end to it"


def test_two_fingers_pinch(server: LiveServer, page: Any) -> None:
    ready(page, server)
    fov = page.evaluate(
        """() => { const c = document.getElementById("pano");
        c.setPointerCapture = () => {};
        const send = (type, pointerId, clientX) =>
          c.dispatchEvent(new PointerEvent(type, { pointerId, clientX, clientY: 200 }));
        send("pointerdown", 1, 100); send("pointerdown", 2, 200); send("pointermove", 2, 300);
        send("pointerup", 1, 100); send("pointerup", 2, 300);
        return c.look.fov; }"""
    )
    assert 44 <= fov <= 46, "twice as far apart is twice as close"


def test_a_held_phone_is_followed(page: Any, server: LiveServer) -> None:
    """W3C orientation: upright and facing north looks ahead, a smaller alpha is further right, beta above 90 is up."""
    ready(page, server)
    upright = page.evaluate(
        """async () => { const { held } = await import("/web/look.js");
        return [[0, 90, 0, 0], [-30, 90, 0, 0], [0, 120, 0, 0], [90, 0, -90, 90], [0, 0, -90, 90]]
          .map(([alpha, beta, gamma, turned]) => held({ alpha, beta, gamma }, turned)); }"""
    )
    ahead, right, up, *landscape = upright
    assert [round(ahead[name]) for name in ("yaw", "pitch", "roll")] == [0, 0, 0]
    assert [round(right[name]) for name in ("yaw", "pitch", "roll")] == [30, 0, 0]
    assert [round(up[name]) for name in ("yaw", "pitch", "roll")] == [0, 30, 0]
    for way in landscape:
        assert round(way["pitch"]) == 0
        assert round(way["roll"]) % 360 == 0


def test_gaze_is_sent_when_the_heading_crosses_a_face(server: LiveServer, page: Any) -> None:
    ready(page, server)
    wait(page, "document.body.dataset.gaze === 'F'")
    look(page, 30)
    page.wait_for_timeout(400)
    assert data(page)["gaze"] == "F", "still the same face"
    look(page, 100)
    wait(page, "document.body.dataset.gaze === 'R'")
    wait(page, "document.body.dataset.first === 'R'")  # the next window begins with it
    assert page.inner_text("#gaze-text") == "where you look"
    assert page.get_attribute("#face-R", "class").count("facing") == 1


def test_the_given_view_is_outlined(server: LiveServer, page: Any) -> None:
    ready(page, server)
    assert page.is_visible("#outline")
    yaw, across = CAMERA[2], CAMERA[3]
    look(page, yaw)
    on, off = (127, 200, 169), PAINT["F"]
    page.wait_for_timeout(200)
    assert near(at(page, across / 2, 3), on, 60)
    assert near(at(page, -across / 2, 3), on, 60)
    assert near(at(page, 3, CAMERA[4] / 2), on, 60)
    page.click("#outline")
    assert page.get_attribute("#outline", "aria-pressed") == "false"
    assert near(at(page, -across / 2, 3), off)


def test_a_lost_connection_and_a_reload_have_all_six_faces(server: LiveServer, page: Any) -> None:
    ready(page, server)
    session, loop = data(page)["session"], server.site._loop
    assert loop is not None

    def cut() -> None:
        for connection in list(server.hub.connections):
            server.hub.leave(connection, server.site.clock())
            connection.close("slow", kept=True)

    loop.call_soon_threadsafe(cut)
    wait(page, "document.body.dataset.state === 'connecting'")
    playing(page, 6)
    assert data(page)["session"] == session
    page.click("#pause")
    wait(page, "document.body.dataset.state === 'paused'")
    page.reload()
    wait(page, "document.body.dataset.state === 'paused'")
    wait(page, "Number(document.body.dataset.faces ?? 0) >= 6")
    page.wait_for_timeout(300)
    page.click("#outline")
    for face, (yaw, pitch) in HEADINGS.items():
        look(page, yaw, pitch)
        assert shows(page, face), face
    assert data(page)["session"] == session, "the same world"


def test_pause_step_and_back_keep_windows_whole(server: LiveServer, page: Any) -> None:
    ready(page, server)
    page.click("#pause")
    wait(page, "document.body.dataset.state === 'paused'")
    page.wait_for_timeout(500)
    before = int(data(page)["window"])
    page.click("#step")
    wait(page, f"Number(document.body.dataset.window) > {before}")
    page.wait_for_timeout(500)
    there = int(data(page)["window"])
    assert there == before + 4, "six faces, one window on"
    page.click("#back")
    page.click("#pause")
    wait(page, f"Number(document.body.dataset.window) < {there}")
    wait(page, f"Number(document.body.dataset.window) > {there}")
    page.click("#outline")
    for face, (yaw, pitch) in HEADINGS.items():
        look(page, yaw, pitch)
        assert shows(page, face), face


def test_a_photo_begins_a_new_world(server: LiveServer, page: Any, tmp_path: Path) -> None:
    ready(page, server)
    first = data(page)["session"]
    out = io.BytesIO()
    Image.fromarray(np.full((48, 64, 3), 120, np.uint8)).save(out, "PNG")
    page.set_input_files("#view-file", {"name": "photo.png", "mimeType": "image/png", "buffer": out.getvalue()})
    page.fill("#view-fov", "60")
    page.fill("#view-yaw", "-90")
    page.click("#view-send")
    wait(page, f"document.body.dataset.session !== '{first}'")
    wait(page, "(document.body.dataset.camera ?? '').startsWith('0 0 -90 60')")
    assert page.is_visible("#outline")


def test_a_file_that_is_no_picture_is_told(server: LiveServer, browser: Any) -> None:
    page = browser.new_page()  # one that may complain: the browser notes the answer 400
    ready(page, server)
    page.set_input_files("#view-file", {"name": "x.png", "mimeType": "image/png", "buffer": b"no picture"})
    page.click("#view-send")
    wait(page, "document.getElementById('status').textContent.includes('neither a picture')")
    assert page.is_enabled("#view-send")
    page.close()


def test_a_place_is_chosen(server: LiveServer, page: Any) -> None:
    ready(page, server)
    page.select_option("#place", "street")
    wait(page, "document.body.dataset.control === 'place applied'")


def test_watching_and_the_recording(server: LiveServer, page: Any, tmp_path: Path) -> None:
    ready(page, server)
    with page.expect_download() as download:
        page.click("#download")
    path = tmp_path / "film.mp4"
    download.value.save_as(path)
    assert read_spherical(path) is not None
    with av.open(str(path)) as film:
        assert film.streams.video[0].width == 2 * film.streams.video[0].height
    viewer = page.context.new_page()
    viewer.goto(f"{server.http}/#watch={server.hub.rooms[data(page)['session']].watch}")
    wait(viewer, "Number(document.body.dataset.window ?? 0) >= 8")
    viewer.evaluate("document.getElementById('outline').click()")
    for face, (yaw, pitch) in HEADINGS.items():
        look(viewer, yaw, pitch)
        assert shows(viewer, face), face
    assert data(viewer)["role"] == "viewer"
    assert not viewer.is_visible("#view-form")
    viewer.close()


def test_one_page_shows_both_kinds_of_model(page: Any, tmp_path: Path) -> None:
    """From a video to a panorama and back, and a shared link whose model is not the first."""
    video = fake_model(tmp_path / "fake", media={"fps": 15, "height": 32, "width": 32})
    with LiveServer({"film": video, "world": painted_model()}) as server:
        page.goto(server.http)
        playing(page)
        assert page.is_visible("#screen")
        assert not page.is_visible("#gaze-text")
        page.select_option("#model", "world")
        page.click("#world button")
        wait(page, "document.body.dataset.modality === 'panorama' && Number(document.body.dataset.window ?? 0) >= 8")
        assert page.is_visible("#pano")
        assert not page.is_visible("#screen")
        assert "jpeg" in page.inner_text("#hud-format")
        viewer = page.context.new_page()
        viewer.goto(f"{server.http}/#watch={server.hub.rooms[data(page)['session']].watch}")
        wait(viewer, "Number(document.body.dataset.window ?? 0) >= 8")
        assert viewer.is_visible("#pano"), "it thought of the first model, and came back for this one"
        viewer.close()
        page.reload()
        wait(page, "document.body.dataset.modality === 'panorama' && Number(document.body.dataset.window ?? 0) >= 8")
        page.select_option("#model", "film")
        page.click("#world button")
        wait(page, "document.body.dataset.modality === 'video'")
        playing(page)
        assert "h264" in page.inner_text("#hud-format")
        assert not page.is_visible("#view-form")


def test_labels_and_a_phone(server: LiveServer, browser: Any) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    page = context.new_page()
    ready(page, server)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.is_visible("#hold")
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, a, canvas")].filter((e) => !e.hidden &&
        !(e.ariaLabel || e.textContent.trim() || e.labels?.length)).map((e) => e.outerHTML)"""
    )
    assert [html for html in nameless if "username" not in html] == []
    assert "Looking" in page.get_attribute("#pano", "aria-label")
    context.close()
