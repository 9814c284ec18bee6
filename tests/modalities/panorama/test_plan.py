"""The plan of a panorama: what is made when, what sees what, and what a window is told."""

from __future__ import annotations

import pytest
import torch

from tests.panorama import clip, tiny_panorama
from unreel.engine.errors import UserError
from unreel.engine.model import Model
from unreel.engine.state import Held
from unreel.modalities.panorama.controls import GazeControl, PlaceCondition, ViewControl, faced
from unreel.modalities.panorama.cube import FACES
from unreel.modalities.panorama.plan import CubePlan
from unreel.modalities.panorama.surround import beside
from unreel.modalities.panorama.view import ahead, look

PLAN = CubePlan(frames=2, size=16, pad=4, fold=2)


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny_panorama()


def held(view: dict | None = None, since: int = 0, gaze: list[float] | None = None) -> dict[str, Held]:
    found = {}
    if view is not None:
        found["view"] = Held(ViewControl().check(view), since)
    if gaze is not None:
        found["camera"] = Held(gaze, since)
    return found


def regions(route: dict) -> list[tuple[int, str]]:
    return [(start, region) for start, region in route["regions"]]


def test_without_a_view_faces_come_in_their_own_order() -> None:
    route = PLAN.decide(0, {}, {})
    assert regions(route) == [(0, face) for face in "FRBLUD"]
    assert regions(PLAN.decide(6, route, {})) == [(2, face) for face in "FRBLUD"]


@pytest.mark.parametrize(("yaw", "first"), [(0, "F"), (90, "R"), (180, "B"), (-90, "L"), (450, "R")])
def test_the_face_that_the_view_shows_most_comes_first(yaw: float, first: str) -> None:
    assert PLAN.decide(0, {}, held(clip(2, yaw)))["order"][0] == first


def test_the_face_that_somebody_looks_at_comes_before_it() -> None:
    route = PLAN.decide(0, {}, held(clip(2), gaze=[180.0, 0.0]))
    assert route["order"][:2] == "BF"
    assert [faced([yaw, pitch]) for yaw, pitch in ((0, 0), (95, 10), (-170, -20), (-90, 0), (30, 80), (200, -60))] == (
        list("FRBLUD")
    )


def test_a_window_is_given_what_is_seen_now_and_next() -> None:
    first = PLAN.decide(0, {}, held(clip(6)))
    given = [(start, region) for start, region in first["regions"] if region.endswith("*")]
    assert (0, "F*") in given
    assert (2, "F*") in given
    assert "B*" not in {region for _, region in given}
    second = PLAN.decide(len(first["regions"]), first, held(clip(6)))
    third = PLAN.decide(second["first"] + len(second["regions"]), second, held(clip(6)))
    assert {start for start, region in second["regions"] if region.endswith("*")} == {2, 4}
    assert {start for start, region in third["regions"] if region.endswith("*")} == {4}  # the clip ends with it


def test_what_is_to_come_is_looked_for_far_ahead() -> None:
    turning = held(clip(10, turn=20))
    route = PLAN.decide(0, {}, turning)
    nearest = ahead(turning["view"], 0, 2, 64, 0.1)["B"]
    assert nearest > 2  # not in sight in the next window
    seen = look(turning["view"], nearest, 2, 16, 4)
    assert seen.canvas is not None
    assert torch.equal(route["fragments"]["B"], seen.canvas[2])
    assert {start for start, region in route["regions"] if region == "B*"} == {2}
    assert "B" not in CubePlan(2, 16, 4, 2, lookahead=2).decide(0, {}, turning)["fragments"]
    assert PLAN.decide(0, {}, held(clip(1)))["fragments"] == {}


def test_what_was_given_for_one_window_is_gone_in_the_next() -> None:
    first = PLAN.decide(0, {}, held(clip(8)))
    last = len(first["regions"])
    second = PLAN.decide(last, first, held(clip(8)))
    chunks = [PLAN.chunk(i, first) for i in range(last)]
    assert {c.given for c in chunks if c is not None and PLAN.stale(c, second)} == {True}
    assert not any(PLAN.stale(c, first) for c in chunks if c is not None)


def test_what_is_cleaned_sees_its_window_and_what_is_denoised_sees_the_past() -> None:
    route = PLAN.decide(0, {}, held(clip(6, turn=60)))
    chunks = [PLAN.chunk(i, route) for i in range(len(route["regions"]))]
    faces = [c for c in chunks if c is not None and not c.given]
    given = {(c.start, c.region[0]): c for c in chunks if c is not None and c.given}
    made, later = faces[0], faces[1]
    assert PLAN.sees(later, made, False, route)
    assert PLAN.sees(later, made, True, route)
    assert not PLAN.sees(given[0, "F"], given[0, "R"], True, route)
    assert not PLAN.sees(later, given[0, later.region], True, route)
    assert PLAN.sees(made, given[0, later.region], False, route)
    assert not PLAN.sees(later, given[0, made.region], False, route)  # it is made: the real one is there
    ahead = next(c for (start, _), c in given.items() if start == 2)
    for face in faces:
        assert PLAN.sees(face, ahead, False, route) == (ahead.region[0] in (face.region, *beside(face.region)))
    full = CubePlan(2, 16, 4, 2, sparse=False)
    assert full.sees(given[0, "F"], given[0, "R"], True, route)


def test_a_plan_of_a_length_makes_whole_windows_and_ends() -> None:
    plan = CubePlan(2, 16, 4, 2, length=7)
    route: dict = {}
    made = []
    index = 0
    while (chunk := plan.chunk(index, route)) is not None:
        if plan.boundary(index, route):
            route = plan.decide(index, route, {})
            chunk = plan.chunk(index, route)
        assert chunk is not None
        made.append((chunk.start, chunk.region))
        index += 1
    assert made == [(start, face) for start in (0, 2) for face in "FRBLUD"]


def test_the_padding_shows_the_neighbours_and_the_inside_the_window_before(model: Model) -> None:
    session = model.session(rewind=0)
    events = list(session.stream(chunks=8))
    assert [e.chunk.region for e in events if e.replaces is None] == list("FRBLUDFR")
    chunk = session.plan.chunk(8, session.state.route)
    assert chunk is not None
    told = session.plan.told(chunk, session.state.route, session.state.past)["around"].float()
    inside = told[:, 3, 4:20, 4:20]
    assert chunk.region == "B"
    assert bool((inside == 0.5).all())
    assert bool((told[:, 3, 4:20, :4] == 1.0).all())  # R, to the left of B, is made in this window
    assert bool((told[:, 3, 4:20, 20:] == 0.5).all())  # L is not: what it showed last
    before = next(p for p in session.state.past.values() if p.chunk.region == "B" and p.chunk.start == 0)
    picture = torch.nn.functional.pixel_shuffle(before.clean[-1:], 2)[0, :, 4:20, 4:20].clamp(-1, 1)
    assert torch.allclose(told[0, :3, 8:16, 8:16], picture[:, 4:12, 4:12], atol=2e-3)  # its edges are mended


def test_a_photograph_stays_and_a_clip_ends(model: Model) -> None:
    def shown(view: dict) -> list[bool]:
        session = model.session(rewind=0)
        session.send("view", view)
        events = [e for e in session.stream(chunks=24) if e.replaces is None]
        return [e.payload.camera is not None for e in events[::6]]

    assert shown(clip(1)) == [True, True, True, True]
    assert shown(clip(3)) == [True, True, False, False]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("clip.mp4", "frames"),
        ({"frames": torch.zeros(2, 8, 8, 3), "cameras": [[0, 0, 0, 90]]}, "uint8"),
        ({"frames": torch.zeros(0, 8, 8, 3, dtype=torch.uint8), "cameras": [[0, 0, 0, 90]]}, "at least one"),
        ({"frames": torch.zeros(3, 8, 8, 3, dtype=torch.uint8), "cameras": [[0, 0, 0, 90]] * 2}, "3 frames"),
        ({"frames": torch.zeros(1, 8, 8, 3, dtype=torch.uint8), "cameras": [[0, 0, 0, 0]]}, "got 0"),
        ({"frames": torch.zeros(1, 8, 8, 3, dtype=torch.uint8), "cameras": [[0, 0, 0, 200]]}, "got 200"),
        ({"frames": torch.zeros(1, 8, 8, 3, dtype=torch.uint8), "cameras": [[0, 0, float("nan"), 90]]}, "finite"),
    ],
)
def test_bad_views(value: object, words: str) -> None:
    with pytest.raises(UserError, match=words):
        ViewControl().check(value)


def test_bad_gazes_and_places() -> None:
    for value in ("left", [1.0], [float("inf"), 0.0], 3):
        with pytest.raises(UserError, match="yaw, pitch"):
            GazeControl().check(value)
    with pytest.raises(UserError, match="forest, street"):
        PlaceCondition(["forest", "street"]).check("moon")


def test_every_face_has_four_neighbours_and_no_more() -> None:
    assert {face: len(beside(face)) for face in FACES} == dict.fromkeys(FACES, 4)
    assert all(face in beside(other) for face in FACES for other in beside(face))
