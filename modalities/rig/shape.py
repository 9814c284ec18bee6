"""From points on a surface to the tokens of a shape.

Every token is a point and its nearest neighbours (PointNet++, Qi et al. 2017); tokens then look at each other. Four
points a token keep RigAnything's 1,024 points and cost a CPU a tenth of what a token for each would.

Letters: B shapes, N points, T tokens, K neighbours, Q places that are asked about, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unreel.modalities.rig.parts import PLACE, SelfBlock, mlp, place_features


class ShapeEncoder(nn.Module):
    """Points and normals (B, N, 6), farthest first, to tokens (B, T, D) that stand at the first T points."""

    def __init__(self, width: int, depth: int, heads: int, tokens: int, neighbours: int) -> None:
        super().__init__()
        self.tokens, self.neighbours = tokens, neighbours
        self.local = mlp(10, width // 2, width // 2)
        self.enter = nn.Linear(width // 2 + PLACE + 3, width)
        self.blocks = nn.ModuleList(SelfBlock(width, heads, 3) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, surface_BN6: Tensor) -> Tensor:
        dtype = self.enter.weight.dtype
        centres = surface_BN6[:, : self.tokens]
        near = gather(surface_BN6, nearest(centres[..., :3], surface_BN6[..., :3], self.neighbours)[1])
        step = 8 * (near[..., :3] - centres[:, :, None, :3])
        side = centres[:, :, None, 3:].expand_as(step)
        patch = torch.cat((step, step.norm(dim=-1, keepdim=True), near[..., 3:], side), -1)
        local = self.local(patch.to(dtype)).amax(2)
        x = self.enter(torch.cat((local, place_features(centres[..., :3]).to(dtype), centres[..., 3:].to(dtype)), -1))
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.norm(x)
        return out

    def at(self, places_BQ3: Tensor, surface_BN6: Tensor, tokens_BTD: Tensor) -> Tensor:
        """What the tokens say at any places (B, Q, D): the mean of the three nearest, nearer ones counting more."""
        apart, index = nearest(places_BQ3, surface_BN6[:, : self.tokens, :3], 3)
        share = 1 / (apart.square() + 1e-6)
        share = (share / share.sum(-1, keepdim=True)).to(tokens_BTD.dtype)
        return (gather(tokens_BTD, index) * share[..., None]).sum(2)


def nearest(places_BQ3: Tensor, points_BN3: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Distances and numbers (B, Q, count) of the points nearest to places, the nearest first."""
    found = torch.cdist(places_BQ3, points_BN3).topk(min(count, points_BN3.shape[1]), largest=False)
    return found.values, found.indices


def gather(values_BND: Tensor, index_BQK: Tensor) -> Tensor:
    """Values (B, Q, K, D) of the chosen points."""
    rows = torch.arange(len(values_BND), device=values_BND.device)[:, None, None]
    return values_BND[rows, index_BQK]
