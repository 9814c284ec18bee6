"""Forks beside the main picture, in a real browser: each plays, obeys when it has the focus, and can be closed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake import fake_model

from tests.streaming.live import LiveServer, until
from unreel.engine.batch import Limits

pytestmark = pytest.mark.browser
test_page = pytest.importorskip("tests.streaming.test_page", reason="needs playwright and chromium (make system)")
browser, page, data, wait, playing = (
    getattr(test_page, name) for name in ("browser", "page", "data", "wait", "playing")
)

# One entry per tile, the main one first, all read at once.
TILES = """() => [...document.querySelectorAll("#tiles .tile")].map((tile) => {
    const canvas = [...tile.querySelectorAll("canvas")].find((one) => !one.hidden);
    const state = tile.id === "main" ? document.body.dataset : tile.dataset;
    const box = canvas.getBoundingClientRect();
    return { ...state, name: tile.querySelector(".name").textContent, holds: tile.querySelector(".holds").textContent,
      front: tile.classList.contains("front"), veil: tile.querySelector(".veil").textContent,
      left: box.left, top: box.top, bottom: box.bottom, waiting: canvas.player.queue.length,
      pixels: [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data] };
})"""
STEPS = 3


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    model = fake_model(tmp_path_factory.mktemp("fake"), media={"fps": 15, "height": 32, "width": 32})
    with LiveServer(model, limits=Limits(sessions=16), resume_s=5.0) as live:
        yield live


def tiles(page: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.evaluate(TILES)
    return found


def told(page: Any, true: Any) -> list[dict[str, Any]]:
    """The tiles, once what is asked of them holds."""
    found: list[dict[str, Any]] = []

    def asked() -> bool:
        page.wait_for_timeout(30)
        found[:] = tiles(page)
        return bool(true(found))

    until(asked, 20.0)
    return found


def still(page: Any, server: LiveServer, path: str = "/") -> None:
    """A world that is paused, with nothing under way."""
    page.goto(f"{server.http}{path}")
    playing(page)
    page.click("#pause")
    wait(page, "document.body.dataset.state === 'paused'")
    room = server.hub.rooms[data(page)["session"]]
    until(lambda: room.owner is not None and not room.owner.owed)
    told(page, lambda shown: not shown[0]["waiting"])


def fork(page: Any, state: str) -> list[dict[str, Any]]:
    """One more tile, and how all of them are."""
    count = len(tiles(page)) + 1
    page.click("#fork")
    return told(page, lambda shown: len(shown) == count and shown[-1].get("state") == state)


def apart(one: dict[str, Any], other: dict[str, Any]) -> float:
    """Mean difference of two pictures, 0 to 255."""
    return float(np.abs(np.array(one["pixels"]) - np.array(other["pixels"])).mean())


def frames(tile: dict[str, Any]) -> int:
    return int(tile.get("frames", 0))


def step(page: Any, tile: int, count: int = 1) -> list[dict[str, Any]]:
    """So many steps of the tile alone."""
    page.locator("#tiles .tile").nth(tile).locator("canvas:not([hidden])").click()
    for _ in range(count):
        before = [frames(one) for one in tiles(page)]
        page.click("#step")
        after = told(page, lambda shown, wanted=before[tile] + 2: frames(shown[tile]) >= wanted)
        others = [k for k in range(len(before)) if k != tile]
        assert [frames(after[k]) for k in others] == [before[k] for k in others]
    return after


def test_a_fork_goes_on_from_the_same_picture_and_obeys_for_itself(server: LiveServer, page: Any) -> None:
    still(page, server, "/?format=jpeg")
    main, one = fork(page, "paused")
    assert apart(main, one) == 0, "the picture it was forked at"
    assert (main["name"], one["name"]) == ("Main", "Fork 1 of Main")
    assert main["session"] != one["session"]
    step(page, 0)
    main, one = step(page, 1)
    alike = apart(main, one)
    assert alike < 0.5, "both went on with the same seed and the same action"
    page.keyboard.down("d")
    main, one = told(page, lambda shown: shown[1].get("control") == "action accepted")
    assert (main["holds"], one["holds"]) == ("", "d")
    assert (main["front"], one["front"]) == (False, True)
    step(page, 1, STEPS)
    main, one = step(page, 0, STEPS)  # D is still down: it is the fork that goes on with it
    page.keyboard.up("d")
    assert (main["holds"], one["holds"]) == ("", "d")
    assert main["control"] == "step applied"
    assert apart(main, one) > max(1.0, 3 * alike)


def test_both_play_until_one_is_closed(server: LiveServer, page: Any) -> None:
    page.goto(server.http)
    playing(page)
    before = fork(page, "playing")
    after = told(page, lambda shown: all(frames(a) >= frames(b) + 8 for a, b in zip(shown, before, strict=True)))
    assert apart(after[0], before[0]) > 1
    assert apart(after[1], before[1]) > 1
    page.focus("#screen")
    page.keyboard.press("Tab")
    assert [tile["front"] for tile in tiles(page)] == [False, True]
    page.keyboard.press("p")
    told(page, lambda shown: shown[1]["state"] == "paused")
    assert page.inner_text("#pause") == "Resume"
    assert tiles(page)[0]["state"] == "playing", "the main picture has not lost its pace"
    page.click("#main canvas:not([hidden])")
    assert page.inner_text("#pause") == "Pause"
    page.click("#tiles .close")
    until(lambda: set(server.hub.rooms) & {tile["session"] for tile in before} == {before[0]["session"]})
    assert [tile["name"] for tile in tiles(page)] == ["Main"]
    playing(page)


def test_a_reload_shows_the_forks_that_live(server: LiveServer, page: Any) -> None:
    page.goto(server.http)
    playing(page)
    fork(page, "playing")
    before = fork(page, "playing")
    loop, gone = server.site._loop, server.hub.rooms[before[1]["session"]]
    assert loop is not None
    page.reload()
    after = told(page, lambda shown: [tile.get("state") for tile in shown] == ["playing"] * 3)
    assert [(tile["name"], tile["session"]) for tile in after] == [(tile["name"], tile["session"]) for tile in before]
    loop.call_soon_threadsafe(server.hub.end, gone, "idle", "", 0.0)
    told(page, lambda shown: shown[1]["veil"] == "Ended: nobody was there.")
    page.reload()
    after = told(page, lambda shown: [tile.get("state") for tile in shown] == ["playing"] * 2)
    assert [tile["name"] for tile in after] == ["Main", "Fork 2 of Main"]


def test_a_tab_of_its_own_takes_a_fork_along(server: LiveServer, page: Any) -> None:
    page.goto(server.http)
    playing(page)
    _, one = fork(page, "playing")
    with page.context.expect_page() as opened:
        page.click("#tiles .own")
    wait(opened.value, "Number(document.body?.dataset.frames ?? 0) >= 5")
    assert data(opened.value)["session"] == one["session"]
    assert len(tiles(page)) == 1
    opened.value.close()


def test_no_more_than_three_and_a_new_world_ends_them(server: LiveServer, page: Any) -> None:
    still(page, server)
    for _ in range(3):
        fork(page, "paused")
    names = {tile["session"] for tile in tiles(page)}
    page.click("#fork")
    wait(page, "document.getElementById('status').textContent.startsWith('3 forks are beside')")
    assert names <= set(server.hub.rooms)
    page.click("#again")
    until(lambda: not names & set(server.hub.rooms))
    playing(page)
    assert len(tiles(page)) == 1


def test_where_all_places_are_taken_one_line_says_so(page: Any, tmp_path: Path) -> None:
    model = fake_model(tmp_path / "fake", media={"fps": 15, "height": 32, "width": 32})
    with LiveServer(model, limits=Limits(sessions=2)) as small:
        still(page, small)
        fork(page, "paused")
        page.click("#fork")
        wait(page, "document.body.dataset.control === 'fork rejected'")
        assert page.inner_text("#status") == "all 2 places are taken: a fork needs one"
        assert len(tiles(page)) == 2


def test_side_by_side_and_on_a_phone_below_each_other(server: LiveServer, page: Any) -> None:
    still(page, server)
    main, one = fork(page, "paused")
    assert one["left"] > main["left"]
    assert one["top"] == main["top"]
    page.set_viewport_size({"width": 360, "height": 740})
    main, one = tiles(page)
    assert one["left"] == main["left"]
    assert one["top"] > main["bottom"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
