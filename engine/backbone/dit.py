"""A causal diffusion transformer (DiT, Peebles & Xie 2023): AdaLN per chunk, rotary over time, height and width.

Which chunks a token may look at is the view's business; the transformer never builds a mask.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unreel.engine.errors import UserError
from unreel.engine.interfaces import View
from unreel.engine.rope import Rope


def time_features(times_R: Tensor, width: int) -> Tensor:
    """Sines and cosines (R, width) of times in 0..1, up to about 500 periods."""
    half = width // 2
    frequencies = torch.exp(torch.linspace(0.0, 8.0, half, device=times_R.device))
    angle = times_R.float()[:, None] * frequencies
    return torch.cat((angle.sin(), angle.cos()), dim=-1)


def grid_coords(frames: int, height: int, width: int) -> Tensor:
    """Integer coordinates (frames * height * width, 3) in time, height, width order."""
    axes = torch.meshgrid(torch.arange(frames), torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack(axes, dim=-1).reshape(-1, 3)


class Block(nn.Module):
    """Attention and MLP, each shifted, scaled and gated by the chunk's condition (AdaLN-single, PixArt-alpha)."""

    def __init__(self, width: int, heads: int, mlp: int, layer: int) -> None:
        super().__init__()
        self.layer, self.heads = layer, heads
        self.table = nn.Parameter(torch.randn(6, width) / width**0.5)
        self.qkv = nn.Linear(width, 3 * width)
        self.q_norm = nn.RMSNorm(width // heads, eps=1e-6)
        self.k_norm = nn.RMSNorm(width // heads, eps=1e-6)
        self.out = nn.Linear(width, width)
        self.up = nn.Linear(width, mlp * width)
        self.down = nn.Linear(mlp * width, width)

    def forward(self, x_RLD: Tensor, modulation_R6D: Tensor, view: View) -> Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2 = (modulation_R6D + self.table).unsqueeze(2).unbind(1)
        h = _norm(x_RLD) * (1 + scale1) + shift1
        q, k, v = self.qkv(h).unflatten(-1, (3, self.heads, -1)).unbind(2)
        attended = view.attend(self.layer, _rms(q, self.q_norm), _rms(k, self.k_norm), v)
        x_RLD = x_RLD + gate1 * self.out(attended.flatten(-2))
        h = _norm(x_RLD) * (1 + scale2) + shift2
        out: Tensor = x_RLD + gate2 * self.down(F.gelu(self.up(h), approximate="tanh"))
        return out


def _norm(x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:])


def _rms(x: Tensor, norm: nn.RMSNorm) -> Tensor:
    return F.rms_norm(x, x.shape[-1:], norm.weight.to(x.dtype), norm.eps)


class CausalDiT(nn.Module):
    """The trunk: tokens (R, L, width) and a condition (R, cond_width) in, tokens out."""

    def __init__(self, width: int, depth: int, heads: int, cond_width: int, rope: Rope, mlp: int = 4) -> None:
        super().__init__()
        if width % heads or sum(rope.dims) != width // heads:
            raise UserError(
                f"width {width} must be a multiple of heads {heads} and the rotary dims {rope.dims} "
                f"must add up to the head width {width / heads:g}"
            )
        self.rope, self.heads, self.head_dim = rope, heads, width // heads
        self.modulation = nn.Linear(cond_width, 6 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)
        self.blocks = nn.ModuleList(Block(width, heads, mlp, layer) for layer in range(depth))

    def forward(self, tokens_RLD: Tensor, cond_RC: Tensor, view: View) -> Tensor:
        modulation = self.modulation(F.silu(cond_RC)).unflatten(-1, (6, -1))
        for block in self.blocks:
            tokens_RLD = block(tokens_RLD, modulation, view)
        return _norm(tokens_RLD)


class PatchDiT(nn.Module):
    """The plain backbone over latents (R, T, C, H, W): linear patches in, velocity-free clean prediction out.

    Conditions: ``action`` ids (R, T) when ``actions`` > 0 and ``text`` embeddings (R, text_width) when
    ``text_width`` > 0. Predicts ``clean = t * state + (1 - t) * net``, exact at t = 1 whatever the weights.
    """

    wants_previous = False

    def __init__(
        self,
        channels: int,
        patch: int = 1,
        width: int = 64,
        depth: int = 2,
        heads: int = 4,
        actions: int = 0,
        text_width: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self._build(channels, patch, width, depth, heads, actions, text_width)

    def _build(self, channels: int, patch: int, width: int, depth: int, heads: int, actions: int, text: int) -> None:
        self.patch, self.layers, self.heads, self.head_dim = patch, depth, heads, width // heads
        self.rope = Rope.split(self.head_dim)
        self.embed = nn.Linear(channels * patch * patch, width)
        self.time = nn.Sequential(nn.Linear(64, width), nn.SiLU(), nn.Linear(width, width))
        self.action = nn.Embedding(actions + 1, width) if actions else None
        self.text = nn.Linear(text, width) if text else None
        self.trunk = CausalDiT(width, depth, heads, width, self.rope)
        nn.init.normal_(self.trunk.modulation.weight, std=0.2)
        self.head = nn.Linear(width, channels * patch * patch)

    def coords(self, chunk_shape: tuple[int, ...]) -> Tensor:
        frames, _, height, width = chunk_shape
        return grid_coords(frames, height // self.patch, width // self.patch)

    def signal(self, state: Tensor) -> Tensor:
        return self._tokens(state[None])[0]

    def _tokens(self, x_RTCHW: Tensor) -> Tensor:
        p = self.patch
        x = x_RTCHW.unflatten(-1, (-1, p)).unflatten(-3, (-1, p))  # R T C h p w p
        x = x.permute(0, 1, 3, 5, 2, 4, 6).flatten(4).flatten(1, 3)
        out: Tensor = self.embed(x)
        return out

    def forward(self, states_RTCHW: Tensor, times_R: Tensor, view: View, condition: Mapping[str, Tensor]) -> Tensor:
        frames, channels, height, width = states_RTCHW.shape[1:]
        p = self.patch
        cond = self.time(time_features(times_R, 64).to(states_RTCHW.dtype))
        if self.action is not None:
            cond = cond + self.action(condition["action"]).mean(1)
        if self.text is not None:
            cond = cond + self.text(condition["text"])
        tokens = self.trunk(self._tokens(states_RTCHW), cond, view)
        net = self.head(tokens).reshape(-1, frames, height // p, width // p, channels, p, p)
        net = net.permute(0, 1, 4, 2, 5, 3, 6).reshape(states_RTCHW.shape)
        t = times_R.to(net.dtype)[:, None, None, None, None]
        clean: Tensor = t * states_RTCHW + (1 - t) * net
        return clean
