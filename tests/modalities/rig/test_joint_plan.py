"""States, the plan that tells them, the codec that shows them, the control that begins it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.rigs import creature
from unreel.engine.errors import UserError
from unreel.engine.state import Held, Past
from unreel.modalities.rig.codec import JointCodec
from unreel.modalities.rig.controls import MeshControl
from unreel.modalities.rig.joint import Joint, is_end, parent_of, position_of, states_of
from unreel.modalities.rig.plan import JointPlan
from unreel.modalities.rig.subject import subject_of
from unreel.modalities.skeleton.glb import write_glb

SPOTS = torch.tensor([[0.1, 0.2, 0.3], [0.0, -0.5, 0.25], [0.5, 0.5, 0.5]])


def test_a_state_says_what_the_joint_is() -> None:
    states = states_of(SPOTS, [-1, 0, 1], 5)
    assert states.shape == (3, 1, 9)
    assert [parent_of(state) for state in states] == [0, 0, 1]
    assert torch.allclose(torch.stack([position_of(state) for state in states]), SPOTS)
    assert not any(is_end(state) for state in states)


def test_the_plan_tells_all_earlier_joints() -> None:
    plan = JointPlan(joints=5, points=32)
    held = {"mesh": Held(MeshControl().check(creature()), 0)}
    route = plan.decide(0, {}, held)
    states, past = states_of(SPOTS, [-1, 0, 1], 5), {}
    for index in range(3):
        chunk = plan.chunk(index, route)
        assert chunk is not None
        past[index] = Past(chunk, states[index], {})
        route = plan.after(past[index], route)
    told = plan.told(plan.chunk(3, route), route, past)  # type: ignore[arg-type]
    assert told["mesh"].shape == (32, 6)
    assert told["mesh"] is plan.told(plan.chunk(3, route), route, past)["mesh"]  # type: ignore[arg-type]
    assert torch.allclose(told["joints"][:3], SPOTS)
    assert told["parents"].tolist() == [0, 0, 1, -1, -1]


def test_the_plan_ends_when_a_chunk_says_so_or_at_its_most() -> None:
    plan = JointPlan(joints=3, points=32)
    chunk = plan.chunk(1, {"ended": False})
    assert chunk is not None
    end = states_of(SPOTS[:1], [-1], 3)[0]
    end[0, 3] = 1.0
    assert plan.chunk(2, plan.after(Past(chunk, end, {}), {"ended": False})) is None
    assert plan.chunk(3) is None
    assert JointPlan(joints=3, length=2).chunk(2) is None
    with pytest.raises(UserError, match="1 joint or more"):
        JointPlan(joints=0)


def test_events_are_in_the_units_of_the_mesh() -> None:
    codec, plan = JointCodec(), JointPlan(joints=5)
    told = {"box": torch.tensor([1.0, 2.0, 3.0, 100.0], dtype=torch.float64)}
    states = states_of(SPOTS, [-1, 0, 0], 5)
    emissions, _ = codec.emit(plan.chunk(2), states[2], told, {})  # type: ignore[arg-type]
    assert emissions[0].payload == Joint(2, "joint_02", 0, (51.0, 52.0, 53.0))
    assert codec.emit(plan.chunk(0), states[0], told, {})[0][0].payload.parent == -1  # type: ignore[arg-type]
    states[2, 0, 3] = 1.0
    assert codec.emit(plan.chunk(2), states[2], told, {})[0] == []  # type: ignore[arg-type]
    with pytest.raises(UserError, match="send it a mesh"):
        codec.encode(None)


def test_a_mesh_is_sent_as_a_mesh_or_a_subject(tmp_path: Path) -> None:
    control, mesh = MeshControl(), creature()
    whole = control.check(mesh)
    for value in (subject_of(mesh), whole):
        checked = control.check(value)
        assert torch.allclose(checked["surface"], whole["surface"], atol=1e-5)
        assert torch.allclose(checked["box"], whole["box"])
    write_glb(mesh, tmp_path / "c.glb")
    for other in (np.zeros((4, 3)), str(tmp_path / "c.glb"), tmp_path / "c.glb"):  # nobody sends a server its own files
        with pytest.raises(UserError, match="a Mesh"):
            control.check(other)
    with pytest.raises(UserError, match="finite"):
        control.check({"surface": torch.full((1024, 6), float("nan")), "box": whole["box"]})
    with pytest.raises(UserError, match=r"surface \(1024, 6\)"):
        control.check({"surface": whole["surface"][:8], "box": whole["box"]})
