"""The parts of the network: shapes, distances, pointers, the skin."""

from __future__ import annotations

import pytest
import torch

from tests.rigs import NET, rigged_creature, stir
from unreel.engine.errors import UserError
from unreel.modalities.rig.heads import allowed_parents
from unreel.modalities.rig.joint import NEVER
from unreel.modalities.rig.net import RigNet
from unreel.modalities.rig.shape import nearest
from unreel.modalities.rig.skinhead import distances, to_segments
from unreel.modalities.rig.subject import subject_of


@pytest.fixture
def net() -> RigNet:
    torch.manual_seed(1)
    net = RigNet(**NET)
    stir(net)
    return net.eval()


def test_the_shipped_size_fits_the_wire() -> None:
    assert sum(p.numel() for p in RigNet().parameters()) * 2 <= 20e6


def test_a_shape_is_of_all_its_points(net: RigNet) -> None:
    surface = torch.from_numpy(subject_of(rigged_creature().mesh).surface[None])
    tokens = net.shape(surface)
    assert tokens.shape == (1, 16, 24)
    assert torch.equal(tokens, net.shape(surface.clone()))
    last = surface.clone()
    last[:, 900:, :3] += 0.05
    assert not torch.equal(tokens, net.shape(last))


def test_a_token_answers_for_its_own_place(net: RigNet) -> None:
    surface = torch.from_numpy(subject_of(rigged_creature().mesh).surface[None])
    tokens = net.shape(surface)
    felt = net.shape.at(surface[:, :16, :3], surface, tokens)
    assert torch.allclose(felt, tokens, atol=1e-2)
    apart, index = nearest(surface[:, :16, :3], surface[..., :3], 1)
    assert apart.max() < 1e-3
    assert index.flatten().tolist() == list(range(16))


def test_distances_to_segments_that_may_be_points() -> None:
    points = torch.tensor([[[0.0, 1, 0], [3, 0, 0]]])
    starts, ends = torch.tensor([[[-1.0, 0, 0], [0, 0, 0]]]), torch.tensor([[[1.0, 0, 0], [0, 0, 0]]])
    assert torch.allclose(to_segments(points, starts, ends), torch.tensor([[[1.0, 1.0], [2.0, 3.0]]]))


def test_a_joint_owns_the_bones_to_its_children() -> None:
    joints = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [0, 0, 0]]])
    parents, none = torch.tensor([[0, 0, 1, 0]]), torch.tensor([[False, False, False, True]])
    found = distances(torch.tensor([[[1.5, 0.5, 0.0]]]), joints, parents, none)[0, 0]
    own, behind, bone, spot = found[:3].unbind(-1)
    assert own.tolist() == pytest.approx([0.5**0.5, 0.5, 0.5**0.5])
    assert behind.tolist() == pytest.approx([0.5**0.5 - 0.5, 0, 0.5**0.5 - 0.5])
    assert bone.tolist() == pytest.approx([2.5**0.5, 0.5**0.5, 0.5])
    assert spot.tolist() == pytest.approx([2.5**0.5, 0.5**0.5, 0.5**0.5])


def test_parents_never_fall() -> None:
    allowed = allowed_parents(torch.tensor([[0, 0, 1]]), 5)[0]
    assert allowed.int().tolist() == [[1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [0, 1, 1, 0, 0]]


def test_a_skin_begins_with_the_nearest_bone_and_leaves_out_what_is_not_there() -> None:
    torch.manual_seed(1)
    net = RigNet(**NET).eval()
    rig = rigged_creature()
    subject = subject_of(rig.mesh)
    surface = torch.from_numpy(subject.surface[None])
    joints = torch.zeros(1, 12, 3)
    joints[0, :10] = torch.from_numpy(subject.box.to_unit(rig.skeleton.positions))
    parents = torch.zeros(1, 12, dtype=torch.long)
    parents[0, 1:10] = torch.as_tensor(rig.skeleton.parents[1:])
    none = torch.arange(12)[None] >= 10
    logits = net.weigh(net.encode(surface), surface[:, :50], joints, parents, none)
    assert (logits[..., 10:] == NEVER).all()
    apart = distances(surface[:, :50, :3], joints, parents, none)[..., :10, 0]
    assert torch.equal(logits[..., :10].argmax(-1), apart.argmin(-1))


def test_sizes_are_checked() -> None:
    with pytest.raises(UserError, match="even multiple"):
        RigNet(width=25)
    with pytest.raises(UserError, match="1 or more"):
        RigNet(depth=0)
