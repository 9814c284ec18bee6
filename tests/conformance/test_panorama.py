"""The invariants on cube faces: a plan that decides its order while it runs, given chunks, a codec that mends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import pixel_shuffle

from tests.panorama import clip, tiny_panorama
from unreel.engine.generate import advance
from unreel.engine.model import Model
from unreel.engine.session import Session
from unreel.engine.types import Event
from unreel.modalities.panorama.codec import to_frames
from unreel.modalities.panorama.cube import FACES
from unreel.modalities.panorama.seams import blend

VIEW = clip(7, yaw=30, turn=25)


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny_panorama()


def begun(model: Model, **options: Any) -> Session:
    session = model.session(**{"seed": 5, "rewind": 0, **options})
    session.send("view", VIEW)
    session.send("place", "street")
    return session


def made(session: Session, chunks: int = 18) -> list[Event]:
    return list(session.stream(chunks=chunks))


def same(ours: list[Event], theirs: list[Event], atol: int | None = None) -> None:
    assert [(e.seq, e.chunk, e.final, e.replaces) for e in ours] == [
        (e.seq, e.chunk, e.final, e.replaces) for e in theirs
    ]
    for a, b in zip(ours, theirs, strict=True):
        if atol is None:
            assert np.array_equal(a.payload.frames, b.payload.frames)
        else:
            assert np.abs(a.payload.frames.astype(int) - b.payload.frames).max() <= atol


def test_reuse_that_never_reuses_changes_nothing(model: Model) -> None:
    same(made(begun(model)), made(begun(model, reuse={"class": "flowcache", "threshold": 0.0})))


@pytest.mark.parametrize("commit", ["with-next", "never"])
def test_cached_equals_computed_again(model: Model, commit: str) -> None:
    """Exact but for a face that the next one sees both as given and as made, while its commit joins that one's step."""
    plain = made(begun(model, context="full"))
    same(plain, made(begun(model, context="full", commit=commit)), atol=1)


def test_an_offset_of_all_steps_is_one_face_after_the_other(model: Model) -> None:
    same(made(begun(model)), made(begun(model, offset=2)))


def test_faces_mended_one_by_one_equal_faces_mended_together(model: Model) -> None:
    session = begun(model)
    faces: dict[str, np.ndarray] = {}
    canvases = {}
    for event in session.stream(chunks=6):
        if event.replaces is None:
            faces[event.payload.face] = event.payload.frames.copy()
            clean = session.state.past[event.chunk.index].clean
            canvases[event.payload.face] = pixel_shuffle(clean, 2).clamp(-1, 1)
        else:
            event.payload.paint(faces[event.payload.face])
    for face in FACES:
        assert np.array_equal(faces[face], to_frames(blend(face, canvases, 4)))


def test_every_face_is_final_once_and_nothing_comes_after(model: Model) -> None:
    final: set[tuple[int, str]] = set()
    for event in made(begun(model)):
        face = (event.chunk.start, event.chunk.region)
        assert face not in final
        if event.final:
            final.add(face)
    assert final == {(start, face) for start in (0, 2, 4) for face in FACES}


def test_company_changes_nothing(model: Model) -> None:
    alone = made(begun(model), 12)
    sessions = [begun(model), begun(model, seed=9), model.session(seed=1, rewind=0)]
    together: list[Event] = []
    while sum(e.replaces is None for e in together) < 12:
        together += advance(sessions)[0]
    same(alone, together, atol=1)


@pytest.mark.parametrize("at", [1, 6, 8])
def test_a_snapshot_goes_on_as_if_nothing_had_happened(model: Model, tmp_path: Path, at: int) -> None:
    whole = made(begun(model), 15)
    session = begun(model)
    first = made(session, at)
    session.snapshot(tmp_path / "s.safetensors")
    forked = session.fork()
    rest = made(model.restore(tmp_path / "s.safetensors"), 15 - at)
    same(whole, first + rest)
    same(rest, made(forked, 15 - at))


def test_rewinding_makes_the_same_world_again(model: Model) -> None:
    session = begun(model, rewind=8)
    first = [e for e in made(session, 10) if e.replaces is None]
    session.rewind(first[5].chunk.index)
    again = [e for e in made(session, 4) if e.replaces is None]
    assert [e.chunk for e in again] == [e.chunk for e in first[6:]]
    for ours, theirs in zip(again, first[6:], strict=True):
        assert np.array_equal(ours.payload.frames, theirs.payload.frames)


def test_a_reset_begins_with_what_was_given_first(model: Model) -> None:
    session = begun(model)
    made(session, 9)
    session.send("reset")
    events = made(session, 6)
    assert events[0].chunk.start == 0
    assert [control.kind for control in events[0].applied] == ["reset"]


@pytest.mark.parametrize(
    "context",
    [
        {"class": "span", "recent": 4},
        {"class": "window", "recent": 6},
        {"class": "hybrid", "sink": 2, "recent": 2, "static": [[0], [1]], "budget_bytes": 90_000},
        {"class": "importance-redundancy", "recent": 2, "budget_bytes": 90_000},
        {"class": "span", "recent": 4, "storage": "int8"},
    ],
)
def test_bytes_stay_flat_under_every_policy(model: Model, context: dict[str, Any]) -> None:
    session = begun(model, context=context)
    held = []
    for event in session.stream(chunks=6 * 12):
        if event.replaces is None:
            held.append(session.context_bytes)
    if "budget_bytes" in context:
        assert max(held) <= context["budget_bytes"]
    else:
        assert max(held[36:]) <= max(held[:36])
    assert len(session.state.past) <= 6 * 6
    assert len(session.state.sent) <= 64


@pytest.mark.parametrize("offset", [0, 1])
def test_faces_in_a_pipeline_come_out_whole(model: Model, offset: int) -> None:
    session = begun(model, offset=offset, length=12 if offset == 0 else None)
    events = [e for e in session.stream(chunks=12) if e.replaces is None]
    assert {e.chunk.region for e in events[:6]} == set(FACES)
    assert len(events) == 12


def test_gaze_takes_effect_at_the_next_window(model: Model) -> None:
    session = model.session(seed=2, rewind=0)
    made(session, 2)
    session.send("camera", [180.0, 0.0])
    events = [e for e in made(session, 10) if e.replaces is None]
    assert [e.chunk.region for e in events] == list("BLUD" + "BRLUDF")
    assert events[4].applied[0].kind == "camera"
    assert all(not e.applied for e in (*events[:4], *events[5:]))


def test_the_given_view_shapes_what_is_made(model: Model) -> None:
    with_view, without = made(begun(model), 6), made(model.session(seed=5, rewind=0), 6)
    assert (
        torch.as_tensor(with_view[0].payload.frames)
        .float()
        .sub(torch.as_tensor(without[0].payload.frames).float())
        .abs()
        .mean()
        > 1
    )
