"""Which joints carry a point of the surface: every point against every joint of a whole skeleton.

Letters: B shapes, Q points, J joints, D width, S width of a pair.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unreel.modalities.rig.joint import NEVER
from unreel.modalities.rig.parts import PLACE, Cross, SelfBlock, mlp, place_features

PAIR = 64
DISTANCES = 4
SHARP = 30.0  # how fast a joint's pull falls at first: to a third in a thirtieth of the box


class SkinHead(nn.Module):
    """A pairwise MLP on features of points and joints and on the distances between them (RigAnything's, and bones).

    It begins as what one would do by hand: nearer bones pull more.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.point = mlp(width + PLACE + 3, width, PAIR)
        self.look, self.among = Cross(width, heads), SelfBlock(width, heads, 2)
        self.joint = nn.Linear(width, PAIR)
        self.apart = nn.Linear(DISTANCES, PAIR)
        self.pair = nn.Sequential(nn.GELU(approximate="tanh"), nn.Linear(PAIR, PAIR), nn.GELU(approximate="tanh"))
        self.leave = nn.Linear(PAIR, 1)
        self.sharp = nn.Parameter(torch.tensor(SHARP).log())
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(
        self,
        points_BQ6: Tensor,
        felt_BQD: Tensor,
        table_BJD: Tensor,
        distances_BQJ4: Tensor,
        none_BJ: Tensor,
        kv: tuple[Tensor, Tensor],
    ) -> Tensor:
        """Logits (B, Q, J) in float32. ``felt`` is what the shape says at the points, ``none`` are joints that are
        not there."""
        dtype = table_BJD.dtype
        told = torch.cat((felt_BQD, place_features(points_BQ6[..., :3]).to(dtype), points_BQ6[..., 3:].to(dtype)), -1)
        joints = self.among(table_BJD + self.look(table_BJD, kv), none_BJ)
        pairs = self.apart(distances_BQJ4.to(dtype)) + self.point(told)[:, :, None] + self.joint(joints)[:, None]
        learned = self.leave(self.pair(pairs))[..., 0].float()
        logits: Tensor = learned - self.sharp.float().exp() * distances_BQJ4[..., 0]
        return logits.masked_fill(none_BJ[:, None], NEVER)


def distances(points_BQ3: Tensor, joints_BJ3: Tensor, parents_BJ: Tensor, none_BJ: Tensor) -> Tensor:
    """Distances (B, Q, J, 4) in unit boxes of points to each joint's bones to its children (the joint itself, where it
    has none), the same less that to the nearest, to the bone from its parent, and to the joint.
    """
    above = joints_BJ3.gather(1, parents_BJ.clamp(min=0)[..., None].expand(-1, -1, 3))
    spot = torch.cdist(points_BQ3, joints_BJ3)
    bone = to_segments(points_BQ3, above, joints_BJ3)
    parents = torch.where(none_BJ | (parents_BJ == own_numbers(parents_BJ)), -1, parents_BJ)
    own = torch.full_like(spot, float("inf"))
    target = parents.clamp(min=0)[:, None].expand_as(bone)
    own = own.scatter_reduce(2, target, bone.masked_fill((parents < 0)[:, None], float("inf")), "amin")
    own = torch.where(own.isfinite(), own, spot)
    closest = own.masked_fill(none_BJ[:, None], float("inf")).amin(-1, keepdim=True)
    return torch.stack((own, own - closest, bone, spot), -1)


def own_numbers(parents_BJ: Tensor) -> Tensor:
    """0 to J - 1 in every row."""
    return torch.arange(parents_BJ.shape[1], device=parents_BJ.device).expand_as(parents_BJ)


def to_segments(points_BQ3: Tensor, starts_BJ3: Tensor, ends_BJ3: Tensor) -> Tensor:
    """Distances (B, Q, J) of points to segments, which may be points."""
    along = ends_BJ3 - starts_BJ3
    length = along.square().sum(-1).clamp(min=1e-12)
    dots = points_BQ3 @ along.transpose(1, 2) - (starts_BJ3 * along).sum(-1)[:, None]
    share = (dots / length[:, None]).clamp(0, 1)
    spots = starts_BJ3[:, None] + share[..., None] * along[:, None]
    apart: Tensor = (points_BQ3[:, :, None] - spots).norm(dim=-1)
    return apart
