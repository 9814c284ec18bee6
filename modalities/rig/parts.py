"""Small parts of the rig network: features of places and numbers, attention, an MLP.

Letters: B meshes (or rows), L tokens, T tokens of a shape, D width, H heads.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

OCTAVES = 6  # sines and cosines per axis: from the width of the box to a thirty-second of it
PLACE = 3 * (2 * OCTAVES + 1)  # numbers that describe a place
ORDER = 32  # numbers that describe a count


def place_features(points: Tensor) -> Tensor:
    """Places (..., 3) in the unit box as numbers (..., PLACE): themselves and sines and cosines of six octaves."""
    points = points.float()
    angles = points[..., None] * (math.pi * 2.0 ** torch.arange(OCTAVES, device=points.device))
    return torch.cat((4 * points, angles.sin().flatten(-2), angles.cos().flatten(-2)), -1)


def order_features(counts: Tensor) -> Tensor:
    """Whole numbers (...) as sines and cosines (..., ORDER), periods from 2 to about 600."""
    rates = torch.exp(torch.linspace(math.log(math.pi), math.log(0.01), ORDER // 2, device=counts.device))
    angles = counts.float()[..., None] * rates
    return torch.cat((angles.sin(), angles.cos()), -1)


def mlp(enter: int, inner: int, leave: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(enter, inner), nn.GELU(approximate="tanh"), nn.Linear(inner, leave))


def heads_first(x_BLD: Tensor, heads: int) -> Tensor:
    """(B, H, L, D / H)."""
    split: Tensor = x_BLD.unflatten(-1, (heads, -1)).transpose(1, 2)
    return split


def attention(q_BHLD: Tensor, k_BHTD: Tensor, v_BHTD: Tensor, hidden_BT: Tensor | None = None) -> Tensor:
    """Softmax attention (B, H, L, D); ``hidden`` keys count for nobody.

    With gradients by plain matrix products: at these sizes they train faster on CPUs than the fused kernel.
    """
    hidden = None if hidden_BT is None else hidden_BT[:, None, None, :]
    if not torch.is_grad_enabled():
        mask = None if hidden is None else ~hidden
        return F.scaled_dot_product_attention(q_BHLD, k_BHTD, v_BHTD, attn_mask=mask)
    scores = (q_BHLD * q_BHLD.shape[-1] ** -0.5) @ k_BHTD.transpose(-1, -2)
    if hidden is not None:
        scores = scores.masked_fill(hidden, float("-inf"))
    mixed: Tensor = scores.softmax(-1) @ v_BHTD
    return mixed


class Cross(nn.Module):
    """Attention of tokens to the tokens of a shape, whose keys and values are made once."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.q, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)

    def told(self, tokens_BTD: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (B, H, T, D / H) of shapes."""
        keys, values = (heads_first(x, self.heads) for x in self.kv(tokens_BTD).chunk(2, -1))
        return keys, values

    def forward(self, x_BLD: Tensor, kv: tuple[Tensor, Tensor]) -> Tensor:
        mixed = attention(heads_first(self.q(self.norm(x_BLD)), self.heads), *kv)
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out


class SelfBlock(nn.Module):
    """Attention among all tokens of a set and an MLP; ``hidden`` (B, L) are tokens that nobody looks at."""

    def __init__(self, width: int, heads: int, factor: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = mlp(width, factor * width, width)

    def forward(self, x_BLD: Tensor, hidden_BL: Tensor | None = None) -> Tensor:
        q, k, v = (heads_first(x, self.heads) for x in self.qkv(self.norm1(x_BLD)).chunk(3, -1))
        mixed = attention(q, k, v, hidden_BL)
        x_BLD = x_BLD + self.out(mixed.transpose(1, 2).flatten(2))
        out: Tensor = x_BLD + self.mlp(self.norm2(x_BLD))
        return out
