"""What is read off a joint's token: where the next joint is (a flow), what it hangs on (a pointer).

Letters: B rows, L tokens of a row, S draws of noise per token, K joints, D width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unreel.engine.backbone.dit import time_features
from unreel.modalities.rig.joint import NEVER, SPAN
from unreel.modalities.rig.parts import PLACE, Cross, mlp, place_features

TIMES = 64  # sines and cosines per time
BLOCKS = 3


class FlowBlock(nn.Module):
    """An MLP, shifted, scaled and gated by a condition (AdaLN, as in the head of MAR, Li et al. 2024)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.modulation = nn.Linear(width, 3 * width)
        self.mlp = mlp(width, 2 * width, width)

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        shift, scale, gate = self.modulation(F.silu(cond)).chunk(3, -1)
        out: Tensor = x + gate * self.mlp(F.layer_norm(x, x.shape[-1:]) * (1 + scale) + shift)
        return out


class PositionHead(nn.Module):
    """The velocity of a noisy position, told the token of its joint; it looks at the shape from where it is."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.enter = nn.Linear(PLACE, width)
        self.time = mlp(TIMES, width, width)
        self.token = nn.Linear(width, width)
        self.look = Cross(width, heads)
        self.blocks = nn.ModuleList(FlowBlock(width) for _ in range(BLOCKS))
        self.leave = nn.Linear(width, 3)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, noisy_BLS3: Tensor, times_BLS: Tensor, tokens_BLD: Tensor, kv: tuple[Tensor, Tensor]) -> Tensor:
        """Velocities (B, L, S, 3) of states at ``times``: the clean position less the noise, in states' units."""
        dtype, shape = self.enter.weight.dtype, noisy_BLS3.shape[1:3]
        x = self.enter(place_features(noisy_BLS3 / SPAN).to(dtype)).flatten(1, 2)
        time = self.time(time_features(times_BLS.flatten(), TIMES).to(dtype)).reshape(x.shape)
        cond = time + self.token(tokens_BLD)[:, :, None].expand(-1, -1, shape[1], -1).flatten(1, 2)
        x = self.blocks[0](x, cond)
        x = x + self.look(x, kv)
        for block in self.blocks[1:]:
            x = block(x, cond)
        out: Tensor = self.leave(F.layer_norm(x, x.shape[-1:])).unflatten(1, shape)
        return out.float()


class Pointer(nn.Module):
    """Scores every earlier joint as the parent of one at a given place."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = mlp(width + PLACE, width, width)
        self.key = nn.Linear(width, width)

    def forward(self, tokens_BLD: Tensor, places_BL3: Tensor, table_BKD: Tensor, allowed_BLK: Tensor) -> Tensor:
        """Logits (B, L, K) in float32, ``NEVER`` where a joint is not ``allowed``. Places are in the unit box."""
        told = place_features(places_BL3).to(tokens_BLD.dtype)
        query = self.query(torch.cat((tokens_BLD, told), -1))
        scores: Tensor = (query @ self.key(table_BKD).transpose(-1, -2)).float() * query.shape[-1] ** -0.5
        return scores.masked_fill(~allowed_BLK, NEVER)


def allowed_parents(parents_BL: Tensor, joints: int) -> Tensor:
    """Which joints may be the parent of joint ``i`` (B, L + 1, joints), given the parents of those before it.

    Breadth first, parents never fall: from the last joint's parent on, up to the last joint. The root hangs on itself.
    """
    count = parents_BL.shape[1]
    number = torch.arange(joints, device=parents_BL.device)
    last = torch.arange(-1, count, device=parents_BL.device).clamp(min=0)
    first = torch.cat((parents_BL.new_zeros(len(parents_BL), 1), parents_BL.clamp(min=0)), 1)
    return (number >= first[..., None]) & (number <= last[:, None])
