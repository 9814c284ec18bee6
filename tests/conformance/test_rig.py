"""The invariants on joints: a plan that ends when what was made says so, keys that do not depend on the noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.rigs import creature, tiny_rig
from unreel.engine.errors import UserError
from unreel.engine.generate import advance
from unreel.engine.model import Model
from unreel.engine.session import Session
from unreel.engine.types import Event

MESH, OTHER = creature(), creature(0.6)


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny_rig()


def begun(model: Model, mesh: Any = MESH, **options: Any) -> Session:
    session = model.session(**{"seed": 5, "rewind": 0, **options})
    session.send("mesh", mesh)
    return session


def same(ours: list[Event], theirs: list[Event], atol: float = 0.0) -> None:
    assert [(e.seq, e.chunk, e.final, e.payload.parent) for e in ours] == [
        (e.seq, e.chunk, e.final, e.payload.parent) for e in theirs
    ]
    for a, b in zip(ours, theirs, strict=True):
        assert np.allclose(a.payload.position, b.payload.position, rtol=0, atol=atol)


def test_joints_come_breadth_first(model: Model) -> None:
    joints = [event.payload for event in begun(model).stream()]
    assert [joint.index for joint in joints] == list(range(12))
    parents = [joint.parent for joint in joints]
    assert parents[0] == -1
    assert parents[1:] == sorted(parents[1:])
    assert all(0 <= parent < index for index, parent in enumerate(parents[1:], 1))


def test_one_joint_says_that_there_are_no_more() -> None:
    session = begun(tiny_rig(end=2.0))
    events = list(session.stream())
    assert 0 < len(events) < 12  # the root is never the end
    assert session.finished
    assert list(session.stream()) == []


@pytest.mark.parametrize("commit", ["extra", "with-next", "never"])
def test_cached_equals_computed_again(model: Model, commit: str) -> None:
    same(list(begun(model).stream()), list(begun(model, commit=commit).stream()), atol=1e-3)


def test_reuse_that_never_reuses_changes_nothing(model: Model) -> None:
    plain = list(begun(model).stream())
    same(plain, list(begun(model, reuse={"class": "flowcache", "threshold": 0.0}).stream()))


def test_an_offset_of_all_steps_is_one_joint_after_the_other(model: Model) -> None:
    same(list(begun(model).stream()), list(begun(model, offset=3).stream()))
    with pytest.raises(UserError, match="one after the other"):
        list(begun(model, offset=1).stream())


def test_company_changes_nothing(model: Model) -> None:
    alone = list(begun(model).stream())
    sessions = [begun(model, OTHER, seed=9), begun(model), begun(model, seed=1)]
    together: list[Event] = []
    while not sessions[1].finished:
        together += advance(sessions)[1]
    same(alone, together, atol=1e-3)


def test_a_mesh_is_encoded_once(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    encode = model.backbone.encode  # type: ignore[attr-defined]
    monkeypatch.setattr(model.backbone, "encode", lambda surface: calls.append(1) or encode(surface))
    session = begun(model)
    list(session.stream(chunks=6))
    list(session.fork().stream(chunks=2))
    assert len(calls) == 1


@pytest.mark.parametrize("at", [1, 7])
def test_a_snapshot_goes_on_as_if_nothing_had_happened(model: Model, tmp_path: Path, at: int) -> None:
    whole = list(begun(model).stream())
    session = begun(model)
    first = list(session.stream(chunks=at))
    session.snapshot(tmp_path / "s.safetensors")
    forked = session.fork()
    rest = list(model.restore(tmp_path / "s.safetensors").stream())
    same(whole, first + rest)
    same(rest, list(forked.stream()))


def test_a_finished_skeleton_can_be_gone_back_in() -> None:
    model = tiny_rig(end=0.0)
    session = begun(model, rewind=16)
    first = list(session.stream())
    session.rewind(first[1].chunk.index)
    assert not session.finished
    assert [e.payload for e in session.stream()] == [e.payload for e in first[2:]]


def test_a_reset_takes_the_mesh_that_was_sent_meanwhile(model: Model) -> None:
    session = begun(model)
    list(session.stream(chunks=3))
    session.send("mesh", OTHER)
    list(session.stream(chunks=2))
    session.send("reset")
    events = list(session.stream())
    assert [control.kind for control in events[0].applied] == ["reset", "mesh"]
    fresh = list(begun(model, OTHER).stream())
    assert [e.payload for e in events] == [e.payload for e in fresh]


def test_mesh_and_seed_shape_the_skeleton(model: Model) -> None:
    def spots(**options: Any) -> torch.Tensor:
        return torch.tensor([e.payload.position for e in begun(model, **options).stream()])

    plain = spots()
    assert torch.equal(plain, spots())
    for changed in (spots(seed=6), spots(mesh=creature(0.9))):
        assert (changed - plain).abs().mean() > 0.01


@pytest.mark.parametrize("scale", [0.001, 1000.0])
def test_units_change_positions_and_nothing_else(model: Model, scale: float) -> None:
    plain = [e.payload for e in begun(model).stream()]
    scaled = [e.payload for e in begun(model, MESH.scaled(scale)).stream()]
    assert [j.parent for j in scaled] == [j.parent for j in plain]
    spots = np.asarray([joint.position for joint in plain])
    assert np.allclose([joint.position for joint in scaled], spots * scale, rtol=0, atol=1e-3 * scale)


@pytest.mark.parametrize("context", [{"class": "window", "recent": 3}, {"class": "full", "storage": "int8"}])
def test_context_policies_hold(model: Model, context: dict[str, Any]) -> None:
    assert len(list(begun(model, context=context).stream())) == 12


def test_nothing_is_made_of_no_mesh(model: Model) -> None:
    with pytest.raises(UserError, match="no mesh"):
        list(model.session(seed=1).stream())
