"""The Wan 2.1 video transformer (Wan Team 2025, arXiv 2503.20314) as a causal, cached backbone.

Serves what is built on it: Self-Forcing, CausVid, LongLive, Krea (14B) and SkyReels-V2 diffusion forcing. Parameter
names are those of the original checkpoints, so these load without renaming. Self-attention goes through the view;
the prompt's keys and values are computed once per prompt and live as long as the tensor the prompt is held in.

Letters as in ``types.py``; B prompts (different ones), P tokens of a prompt.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

from unreel.engine.backbone.dit import grid_coords
from unreel.engine.backbone.offload import HomeBlocks
from unreel.engine.errors import UserError
from unreel.engine.interfaces import View
from unreel.engine.rope import Rope

PATCH = 2  # pixels a side of one token's patch of latents; one latent frame in time
PRECISE = ("modulation", "time_embedding.", ".norm3.")  # parameters that stay float32 in a bfloat16 model


@dataclass(frozen=True)
class WanConfig:
    """Sizes; the defaults are the 1.3B model's, 14B has width 5120, depth 40, heads 40 and ffn 13824.

    ``fps`` is the frame rate told to models that were trained with one (SkyReels-V2: 16 or 24); None for the others.
    """

    width: int = 1536
    depth: int = 30
    heads: int = 12
    ffn: int = 8960
    channels: int = 16
    text_width: int = 4096
    time_width: int = 256
    fps: int | None = None
    eps: float = 1e-6

    def __post_init__(self) -> None:
        if self.width % self.heads or (self.width // self.heads) % 2 or self.width // self.heads < 6:
            raise UserError(f"wan needs width {self.width} to be an even multiple (6 or more) of heads {self.heads}")
        if self.time_width % 2 or min(self.depth, self.ffn, self.channels, self.text_width) < 1:
            raise UserError("wan needs an even time_width, and depth, ffn, channels and text_width of 1 or more")
        if self.fps not in (None, 16, 24):
            raise UserError(f"fps is 16 or 24 (SkyReels-V2) or none, got {self.fps}")


@dataclass(frozen=True, slots=True)
class Prompts:
    """Keys and values of the different prompts of one call: ``kv[prompt][layer]``; ``rows[r]`` is row r's prompt."""

    kv: tuple[tuple[tuple[Tensor, Tensor], ...], ...]
    rows: tuple[int, ...]

    def runs(self) -> list[tuple[int, slice]]:
        """Neighbouring rows that share a prompt, as slices: nothing has to be gathered on the device."""
        starts = [r for r, p in enumerate(self.rows) if r == 0 or p != self.rows[r - 1]]
        return [(self.rows[a], slice(a, b)) for a, b in zip(starts, [*starts[1:], len(self.rows)], strict=True)]


def sinusoid(timesteps_R: Tensor, width: int) -> Tensor:
    """Cosines, then sines (R, width) of timesteps 0..1000 (DDPM, Ho et al. 2020; Wan computes them in float64)."""
    half = width // 2
    frequencies = torch.exp(-math.log(10_000) * torch.arange(half, device=timesteps_R.device).double() / half)
    angle = timesteps_R.double()[:, None] * frequencies
    return torch.cat((angle.cos(), angle.sin()), dim=-1).float()


def _rms(x: Tensor, norm: nn.RMSNorm) -> Tensor:
    return F.rms_norm(x, x.shape[-1:], norm.weight.to(x.dtype), norm.eps)


def _mlp(enter: int, inner: int, leave: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(enter, inner), nn.GELU(approximate="tanh"), nn.Linear(inner, leave))


class Attention(nn.Module):
    """The four projections of an attention, q and k normalised over all heads together."""

    def __init__(self, width: int, heads: int, eps: float) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))
        self.norm_q, self.norm_k = nn.RMSNorm(width, eps=eps), nn.RMSNorm(width, eps=eps)

    def queries(self, x: Tensor) -> Tensor:
        q: Tensor = _rms(self.q(x), self.norm_q).unflatten(-1, (self.heads, -1))
        return q

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        keys, values = _rms(self.k(x), self.norm_k), self.v(x)
        return keys.unflatten(-1, (self.heads, -1)), values.unflatten(-1, (self.heads, -1))


class Block(nn.Module):
    """Self-attention, cross-attention to the prompt, MLP; modulated per row. Norms and modulation in float32."""

    def __init__(self, config: WanConfig, layer: int) -> None:
        super().__init__()
        width, self.layer, self.eps = config.width, layer, config.eps
        self.self_attn = Attention(width, config.heads, config.eps)
        self.norm3 = nn.LayerNorm(width, eps=config.eps)
        self.cross_attn = Attention(width, config.heads, config.eps)
        self.ffn = _mlp(width, config.ffn, width)
        self.modulation = nn.Parameter(torch.randn(1, 6, width) / width**0.5)
        self.before: Callable[..., Any] = self._before
        self.after: Callable[..., Any] = self._after

    def forward(self, x_RLD: Tensor, modulation_R6D: Tensor, prompts: Prompts, view: View) -> Tensor:
        e = (modulation_R6D + self.modulation.float()).unsqueeze(2).unbind(1)
        q, k, v = self.before(x_RLD, e)
        x_RLD, q = self.after(x_RLD, view.attend(self.layer, q, k, v), e)
        x_RLD = x_RLD + self.cross_attn.o(self._cross(q, prompts))
        h = self._shifted(x_RLD, e[3], e[4])
        out: Tensor = (x_RLD.float() + self.ffn(h).float() * e[5]).to(x_RLD.dtype)
        return out

    def told(self, text_PD: Tensor) -> tuple[Tensor, Tensor]:
        """A prompt's keys and values (P, H, D), computed where the weights are."""
        return self.cross_attn.keys_values(text_PD.to(self.modulation.device))

    def _before(self, x: Tensor, e: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        h = self._shifted(x, e[0], e[1])
        return (self.self_attn.queries(h), *self.self_attn.keys_values(h))

    def _after(self, x: Tensor, attended: Tensor, e: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        x = (x.float() + self.self_attn.o(attended.flatten(-2)).float() * e[2]).to(x.dtype)
        weight, bias = self.norm3.weight.float(), self.norm3.bias.float()
        h = F.layer_norm(x.float(), x.shape[-1:], weight, bias, self.eps).to(x.dtype)
        return x, self.cross_attn.queries(h)

    def _shifted(self, x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        return (F.layer_norm(x.float(), x.shape[-1:], eps=self.eps) * (1 + scale) + shift).to(x.dtype)

    def _cross(self, q_RLHD: Tensor, prompts: Prompts) -> Tensor:
        """Attention of every row to its own prompt; neighbours that share one are computed together."""
        parts = []
        for prompt, rows in prompts.runs():
            q = q_RLHD[rows].transpose(1, 2)
            k, v = (x.expand(q.shape[0], -1, -1, -1) for x in prompts.kv[prompt][self.layer])
            parts.append(F.scaled_dot_product_attention(q, k, v).transpose(1, 2))
        return torch.cat(parts).flatten(-2) if len(parts) > 1 else parts[0].flatten(-2)


class Head(nn.Module):
    """Tokens to patches of velocity."""

    def __init__(self, config: WanConfig) -> None:
        super().__init__()
        self.eps = config.eps
        self.head = nn.Linear(config.width, config.channels * PATCH**2)
        self.modulation = nn.Parameter(torch.randn(1, 2, config.width) / config.width**0.5)

    def forward(self, x_RLD: Tensor, time_RD: Tensor) -> Tensor:
        shift, scale = (self.modulation.float() + time_RD[:, None]).unsqueeze(2).unbind(1)
        h = F.layer_norm(x_RLD.float(), x_RLD.shape[-1:], eps=self.eps) * (1 + scale) + shift
        out: Tensor = self.head(h.to(x_RLD.dtype))
        return out


class WanBackbone(nn.Module):
    """Latents (R, T, C, H, W) in, clean prediction out; condition ``prompt``: text features (P, text_width) a row.

    Wan predicts the velocity ``noise - clean`` at timestep ``1000 * sigma``, so ``clean = state - sigma * velocity``
    (rectified flow, Liu et al. 2022). ``offload`` keeps the blocks' weights in main memory and brings one block at a
    time to the device; ``compile`` runs the parts of the blocks around attention through torch.compile.
    """

    wants_previous = False
    lazy = True  # may be built on the meta device and be given its weights without a copy

    def __init__(
        self,
        width: int = 1536,
        depth: int = 30,
        heads: int = 12,
        ffn: int = 8960,
        channels: int = 16,
        text_width: int = 4096,
        time_width: int = 256,
        fps: int | None = None,
        eps: float = 1e-6,
        offload: bool = False,
        compile: bool = False,
    ) -> None:
        super().__init__()
        c = self.config = WanConfig(width, depth, heads, ffn, channels, text_width, time_width, fps, eps)
        self.layers, self.heads, self.head_dim = depth, heads, width // heads
        self.rope = Rope.split(self.head_dim)
        self.patch_embedding = nn.Conv3d(channels, width, (1, PATCH, PATCH), stride=(1, PATCH, PATCH))
        self.text_embedding = _mlp(text_width, width, width)
        self.time_embedding = nn.Sequential(nn.Linear(time_width, width), nn.SiLU(), nn.Linear(width, width))
        self.time_projection = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))
        blocks = [Block(c, layer) for layer in range(depth)]
        self.blocks = HomeBlocks(blocks) if offload else nn.ModuleList(blocks)
        self.head = Head(c)
        if fps is not None:
            self.fps_embedding = nn.Embedding(2, width)
            self.fps_projection = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 6 * width))
        self._told: Any = WeakTensorKeyDictionary()  # a prompt's features -> its keys and values, while it lives
        if compile:
            for block in blocks:
                block.before, block.after = torch.compile(block._before), torch.compile(block._after)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> WanBackbone:
        """Move or convert; ``PRECISE`` parameters keep their precision."""
        precise = {n: p.data for n, p in self.named_parameters() if any(part in n for part in PRECISE)}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, value in precise.items():
            parameter = self.get_parameter(name)
            if parameter.element_size() < value.element_size():
                parameter.data = value.to(parameter.device)
        self._told.clear()
        if isinstance(self.blocks, HomeBlocks):
            self.blocks.device = self.patch_embedding.weight.device
        return self

    # ---- the interface -----------------------------------------------------------------------------------

    def coords(self, chunk_shape: tuple[int, ...]) -> Tensor:
        frames, _, height, width = chunk_shape
        if height % PATCH or width % PATCH:
            raise UserError(f"latents must be a multiple of {PATCH} cells high and wide, got {height}x{width}")
        return grid_coords(frames, height // PATCH, width // PATCH)

    def signal(self, state: Tensor) -> Tensor:
        return self._tokens(state[None])[0]

    def together(self, name: str, values: Sequence[Tensor]) -> Any:
        """What ``forward`` is told of one condition of all rows: rows with the same prompt tensor share its keys."""
        if name != "prompt":
            return torch.stack(list(values)).to(self.patch_embedding.weight.device)
        different: dict[int, Tensor] = {}
        for value in values:
            different.setdefault(id(value), value)
        order = {key: index for index, key in enumerate(different)}
        kv = tuple(self._keys_values(value) for value in different.values())
        return Prompts(kv, tuple(order[id(value)] for value in values))

    def forward(self, states_RTCHW: Tensor, times_R: Tensor, view: View, condition: Mapping[str, Any]) -> Tensor:
        prompts = condition["prompt"]
        if isinstance(prompts, Tensor):
            prompts = self.together("prompt", prompts.unbind(0))
        sigma_R = 1.0 - times_R.float()
        features = sinusoid(1000.0 * sigma_R, self.config.time_width)
        time_RD = self.time_embedding(features.to(next(self.time_embedding.parameters()).dtype))
        modulation = self._modulation(time_RD)
        x = self._tokens(states_RTCHW)
        for block in self.blocks:
            x = block(x, modulation, prompts, view)
        velocity = self._latents(self.head(x, time_RD.float()), states_RTCHW.shape)
        return states_RTCHW.float() - sigma_R[:, None, None, None, None] * velocity.float()

    # ---- parts -------------------------------------------------------------------------------------------

    def _modulation(self, time_RD: Tensor) -> Tensor:
        """(R, 6, D) in float32: shift, scale and gate of attention, then of the MLP."""
        dtype = self.patch_embedding.weight.dtype
        projected: Tensor = self.time_projection(time_RD.to(dtype)).float()
        if self.config.fps is not None:
            rate = self.fps_embedding.weight[0 if self.config.fps == 16 else 1][None]
            projected = projected + self.fps_projection(rate).float()
        modulation: Tensor = projected.unflatten(-1, (6, -1))
        return modulation

    def _tokens(self, x_RTCHW: Tensor) -> Tensor:
        """Patch embedding, as one matrix product: (R, L, D)."""
        x = x_RTCHW.to(self.patch_embedding.weight.dtype)
        x = x.unflatten(-1, (-1, PATCH)).unflatten(-3, (-1, PATCH))  # R T C h p w p
        x = x.permute(0, 1, 3, 5, 2, 4, 6).flatten(4).flatten(1, 3)
        return F.linear(x, self.patch_embedding.weight.flatten(1), self.patch_embedding.bias)

    def _latents(self, x_RLD: Tensor, shape: torch.Size) -> Tensor:
        """Patches (height, width, channel) back to latents of ``shape``."""
        _, frames, channels, height, width = shape
        x = x_RLD.reshape(-1, frames, height // PATCH, width // PATCH, PATCH, PATCH, channels)
        return x.permute(0, 1, 6, 2, 4, 3, 5).reshape(shape)

    def _keys_values(self, text_PD: Tensor) -> tuple[tuple[Tensor, Tensor], ...]:
        """A prompt's keys and values (H, P, D) in every layer, computed once as long as ``text_PD`` is held."""
        known: tuple[tuple[Tensor, Tensor], ...] | None = self._told.get(text_PD)
        if known is None:
            weight = self.patch_embedding.weight
            text = self.text_embedding(text_PD.to(weight.device, weight.dtype))
            pairs = (block.told(text) for block in self.blocks)  # type: ignore[operator]
            known = tuple((k.transpose(0, 1).to(text.device), v.transpose(0, 1).to(text.device)) for k, v in pairs)
            self._told[text_PD] = known
        return known
