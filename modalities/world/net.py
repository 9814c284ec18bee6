"""The network that forecasts: convolutions around a causal transformer, one row per chunk of compact features.

Letters: R rows, T frames of a chunk, C channels, H and W cells, L tokens, D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unreel.engine.backbone.conv import ResBlock
from unreel.engine.backbone.dit import CausalDiT, grid_coords, time_features
from unreel.engine.errors import UserError
from unreel.engine.interfaces import View
from unreel.engine.rope import Rope

FEATURES = 64  # sines and cosines per time


@dataclass(frozen=True)
class WorldConfig:
    """Sizes: latents of ``channels`` x ``rows`` x ``columns`` cells; a token is two cells side by side.

    ``blind`` makes a regression of it: at pure noise the state counts as zero, so that one step gives the mean.
    """

    channels: int = 16
    rows: int = 7
    columns: int = 10
    actions: int = 7
    frames: int = 2
    base: int = 128
    width: int = 256
    depth: int = 5
    heads: int = 4
    blind: bool = False

    def __post_init__(self) -> None:
        if self.columns % 2 or self.width % self.heads or self.width % self.frames:
            raise UserError(
                f"a world needs an even number of columns, got {self.columns}, and width {self.width} to be a multiple "
                f"of heads {self.heads} and of frames {self.frames}"
            )


class WorldNet(nn.Module):
    """Clean prediction of noisy chunks, told the keys held and the chunk before.

    What the layers give is scaled so that input, output and error have unit variance at every noise level
    (preconditioning, Karras et al. 2022, written for straight paths): ``clean = keep(t) * state + new(t) * net``.
    """

    wants_previous = True

    def __init__(
        self, channels: int = 16, rows: int = 7, columns: int = 10, actions: int = 7, frames: int = 2, base: int = 128,
        width: int = 256, depth: int = 5, heads: int = 4, blind: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        c = self.config = WorldConfig(channels, rows, columns, actions, frames, base, width, depth, heads, blind)
        self.layers, self.heads, self.head_dim = c.depth, c.heads, c.width // c.heads
        self.rope = Rope.split(self.head_dim)
        inputs = c.frames * c.channels
        self.time = nn.Sequential(nn.Linear(2 * FEATURES, c.width), nn.SiLU(), nn.Linear(c.width, c.width))
        self.action = nn.Embedding(c.actions + 1, c.width // c.frames)
        self.action_mix = nn.Linear(c.width, c.width)
        self.enter = nn.Conv2d(2 * inputs, c.base, 3, padding=1)
        self.place = nn.Parameter(torch.randn(1, c.base, c.rows, c.columns) * 0.02)
        self.block_in = ResBlock(c.base, c.width)
        self.to_tokens = nn.Conv2d(c.base, c.width, (1, 2), stride=(1, 2))
        self.trunk = CausalDiT(c.width, c.depth, c.heads, c.width, self.rope)
        self.from_tokens = nn.Linear(c.width, 2 * c.base)
        self.block_out = ResBlock(c.base, c.width)
        self.leave = nn.Conv2d(c.base, inputs, 3, padding=1)
        nn.init.normal_(self.leave.weight, std=0.01)
        nn.init.zeros_(self.leave.bias)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def coords(self, chunk_shape: tuple[int, ...]) -> Tensor:
        return grid_coords(1, chunk_shape[-2], chunk_shape[-1] // 2)

    def signal(self, state: Tensor) -> Tensor:
        """The share of the first convolution that sees the chunk itself: (base, H, W)."""
        own = self.enter.weight[:, : state.shape[0] * state.shape[1]]
        return F.conv2d(state.flatten(0, 1)[None], own, padding=1)[0]

    def forward(self, states_RTCHW: Tensor, times_R: Tensor, view: View, condition: Mapping[str, Tensor]) -> Tensor:
        keep, new = (part[:, None, None, None, None] for part in shares(times_R))
        return keep * self.seen(states_RTCHW, times_R).float() + new * self.drawn(
            states_RTCHW, times_R, view, condition
        )

    def seen(self, states_RTCHW: Tensor, times_R: Tensor) -> Tensor:
        """The states that are looked at: ``blind`` sees zeros in place of pure noise."""
        if not self.config.blind:
            return states_RTCHW
        return torch.where((times_R > 0)[:, None, None, None, None], states_RTCHW, torch.zeros(()).to(states_RTCHW))

    def drawn(self, states_RTCHW: Tensor, times_R: Tensor, view: View, condition: Mapping[str, Tensor]) -> Tensor:
        """What the layers give, float32, shaped like ``states``: `clean` of `target` undone."""
        dtype = self.enter.weight.dtype
        states = self.seen(states_RTCHW, times_R)
        times = torch.cat([time_features(t, FEATURES) for t in (times_R, condition["previous_time"])], -1)
        cond = self.time(times.to(dtype)) + self.action_mix(self.action(condition["action"]).flatten(1))
        x = torch.cat((states.flatten(1, 2), condition["previous"].flatten(1, 2)), 1).to(dtype)
        x = self.enter(x.contiguous(memory_format=torch.channels_last)) + self.place
        skip = self.block_in(x, cond)
        tokens = self.to_tokens(skip).flatten(2).transpose(1, 2)
        tokens = self.from_tokens(self.trunk(tokens, cond, view))  # (R, L, 2 * base): both cells of a token
        height, width = states.shape[-2:]
        x = tokens.reshape(len(tokens), height, width, -1).movedim(-1, 1)
        out: Tensor = self.leave(F.silu(self.block_out(x + skip, cond))).float()
        return out.view_as(states_RTCHW)


def shares(times: Tensor) -> tuple[Tensor, Tensor]:
    """Of data and noise of unit variance mixed at ``times``: the best linear guess of the data keeps ``keep`` of the
    state, and what it leaves has standard deviation ``new``."""
    t = times.float()
    variance = t**2 + (1 - t) ** 2
    return t / variance, (1 - t) / variance.sqrt()
