"""Examples as one batch, and what the network's answers to it cost.

Letters: B meshes, N points, Q asked points, J joints of the longest skeleton (others are padded), L = J + 1 tokens
(the last says that there are no more), S draws of noise, K most joints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from unreel.engine.context.view import SequenceView
from unreel.modalities.rig.joint import NEVER, SPAN
from unreel.modalities.rig.net import RigNet, Shape
from unreel.modalities.rig.rig.examples import Example

PARTS = ("flow", "link", "end", "skin")


@dataclass(frozen=True, slots=True)
class Batch:
    """``real`` (B, J) says which joints are there; the root's parent is 0."""

    surface: Tensor  # (B, N, 6)
    joints: Tensor  # (B, J, 3), unit box
    parents: Tensor  # (B, J)
    real: Tensor
    asked: Tensor  # (B, Q, 6)
    weights: Tensor  # (B, Q, J)


@dataclass(frozen=True, slots=True)
class Draw:
    """What is drawn for a batch: times (B, J, S), noise (B, J, S, 3), and by how much told positions are off."""

    times: Tensor
    noise: Tensor
    told_off: Tensor  # (B, J, 3), unit box
    linked_off: Tensor


def batch_of(examples: Sequence[Example]) -> Batch:
    """Examples side by side, skeletons padded to the longest."""
    longest = max(len(one.joints) for one in examples)

    def padded(values: list[Tensor], dim: int) -> Tensor:
        return torch.stack([F.pad(v, [0, 0] * (v.dim() - 1 - dim) + [0, longest - v.shape[dim]]) for v in values])

    return Batch(
        torch.stack([torch.from_numpy(one.surface) for one in examples]),
        padded([torch.from_numpy(one.joints).float() for one in examples], 0),
        padded([torch.from_numpy(one.parents).long() for one in examples], 0),
        torch.stack([torch.arange(longest) < len(one.joints) for one in examples]),
        torch.stack([torch.from_numpy(one.asked) for one in examples]),
        padded([torch.from_numpy(one.weights) for one in examples], 1),
    )


def draw(batch: Batch, draws: int, off: float, generator: torch.Generator) -> Draw:
    """Times logit-normal (Esser et al. 2024) with one of each joint's at 0, where sampling begins; positions told are
    off by up to ``off`` (unit box), as generated ones are."""
    shape = batch.real.shape
    times = torch.sigmoid(torch.randn(*shape, draws, generator=generator))
    times[..., 0] *= (torch.rand(shape, generator=generator) < 0.5).float()
    scale = off * torch.rand(shape[0], 1, 1, generator=generator)
    told_off = scale * torch.randn(*shape, 3, generator=generator)
    linked_off = scale * torch.randn(*shape, 3, generator=generator)
    return Draw(times, torch.randn(*shape, draws, 3, generator=generator), told_off, linked_off)


def tokens_of(net: RigNet, shape: Shape, joints_BJ3: Tensor, parents_BJ: Tensor) -> tuple[Tensor, Tensor]:
    """The trunk over whole skeletons: tokens (B, J + 1, D), of which token i knows the joints before i, and the
    table (B, J, D) of all joints."""
    table = net.table(joints_BJ3, parents_BJ)
    begin = net.begin.expand(len(table), 1, -1)
    x = torch.cat((begin, table), 1)
    view = SequenceView(len(x), x.shape[1], torch.zeros(1, 1, dtype=torch.long), net.rope, span=1)
    return net.trunk(x, shape.layers, view), table


def losses(net: RigNet, batch: Batch, drawn: Draw) -> dict[str, Tensor]:
    """What to make small, part by part: flow, link (parents), end, skin."""
    shape = net.encode(batch.surface)
    tokens, table = tokens_of(net, shape, batch.joints + drawn.told_off, batch.parents)
    return {
        "flow": flow_loss(net, batch, drawn, tokens, shape),
        "link": link_loss(net, batch, drawn, tokens, table),
        "end": end_loss(net, batch, tokens),
        "skin": skin_loss(net, batch, drawn, shape),
    }


def flow_loss(net: RigNet, batch: Batch, drawn: Draw, tokens: Tensor, shape: Shape) -> Tensor:
    """Squared error of the velocity (flow matching, Lipman et al. 2023)."""
    clean = (SPAN * batch.joints)[:, :, None]
    times = drawn.times[..., None]
    noisy = times * clean + (1 - times) * drawn.noise
    flow: Tensor = net.position(noisy, drawn.times, tokens[:, :-1], shape.look)
    return (flow - (clean - drawn.noise)).square().mean(-1)[batch.real].mean()


def link_loss(net: RigNet, batch: Batch, drawn: Draw, tokens: Tensor, table: Tensor) -> Tensor:
    """Cross entropy of the parents of all joints that have a choice."""
    places = batch.joints + drawn.linked_off
    logits = net.links(tokens[:, :-1], places, table, batch.parents[:, :-1])
    choice = batch.real & ((logits > NEVER).sum(-1) > 1)
    if not choice.any():
        return logits.sum() * 0
    return F.cross_entropy(logits[choice], batch.parents[choice])


def end_loss(net: RigNet, batch: Batch, tokens: Tensor) -> Tensor:
    """Cross entropy of "no more", from the second token to the one after the last joint."""
    logits = net.end(tokens).float()[:, 1:, 0]
    over = ~F.pad(batch.real[:, 1:], (0, 1))
    loss = F.binary_cross_entropy_with_logits(logits, over.float(), reduction="none")
    return loss[batch.real].mean()


def skin_loss(net: RigNet, batch: Batch, drawn: Draw, shape: Shape) -> Tensor:
    """Cross entropy of the weights, less their own entropy: 0 when they are met."""
    logits = net.weigh(shape, batch.asked, batch.joints + drawn.linked_off, batch.parents, ~batch.real)
    target = batch.weights / batch.weights.sum(-1, keepdim=True).clamp(min=1e-6)
    own = torch.special.xlogy(target, target).sum(-1)
    loss: Tensor = (own - (target * logits.log_softmax(-1)).sum(-1)).mean()
    return loss
