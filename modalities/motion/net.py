"""The network: one causal transformer over tokens of motion, in which every level of a token is a part of its own.

Mogo's way (2412.07797, 2506.05952; own implementation): the trunk reads the past and what is told and predicts the
first level; each further part adds what was drawn last and predicts the next level. All levels of a time step come
out of one pass. Every layer looks back over time through the engine's context, so keys and values of a step are final
when it was drawn, and are committed with it (`commit: inline`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot, silu

from unreel.engine.errors import UserError
from unreel.engine.interfaces import DrawingView, View
from unreel.engine.rope import Rope
from unreel.modalities.motion.body import BODY
from unreel.modalities.motion.path import TOLD

Chooser = Callable[[int, Tensor], Tensor]  # level and its scores (R, codes) to tokens (R,)


@dataclass(frozen=True)
class NetConfig:
    """Sizes: ``levels`` and ``codes`` as the codec's; ``trunk`` layers for the first level, ``part`` for each other."""

    levels: int = 6
    codes: int = 256
    width: int = 256
    heads: int = 4
    trunk: int = 4
    part: int = 1
    words: int = 256

    def __post_init__(self) -> None:
        small = [name for name, value in vars(self).items() if not isinstance(value, int) or value < 1]
        if small:
            raise UserError(f"sizes of a motion network are whole numbers of 1 or more; not so: {', '.join(small)}")
        if self.width % (2 * self.heads):
            raise UserError(f"width {self.width} must be an even multiple of heads {self.heads}")


class Layer(nn.Module):
    """Attention over time, then a gated mix of channels; normalised before each."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.look_norm, self.mix_norm = nn.RMSNorm(width), nn.RMSNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(2 * width, width)

    def forward(self, x_RLW: Tensor, number: int, view: View) -> Tensor:
        q, k, v = self.qkv(self.look_norm(x_RLW)).unflatten(-1, (3, self.heads, -1)).unbind(2)
        x_RLW = x_RLW + self.out(view.attend(number, q, k, v).flatten(-2))
        gate, value = self.up(self.mix_norm(x_RLW)).chunk(2, -1)
        mixed: Tensor = x_RLW + self.down(silu(gate) * value)
        return mixed


class MotionNet(nn.Module):
    """Rows are one time step each: states (R, 1, levels, codes), noise to draw with or one-hot tokens."""

    wants_previous = True
    draws = True
    float32_on_cpu = True

    def __init__(self, **sizes: int) -> None:
        super().__init__()
        c = self.config = NetConfig(**sizes)
        self.layers = c.trunk + (c.levels - 1) * c.part
        self.heads, self.head_dim = c.heads, c.width // c.heads
        self.rope = Rope((self.head_dim,))
        self.before = nn.Parameter(torch.randn(c.levels, c.codes, c.width) * 0.02)  # tokens of the step before
        self.begin = nn.Parameter(torch.randn(c.width) * 0.02)  # where there is none
        self.drawn = nn.Parameter(torch.randn(c.levels - 1, c.codes, c.width) * 0.02)  # levels of this step
        self.text = nn.Sequential(nn.Linear(c.words, c.width), nn.SiLU(), nn.Linear(c.width, c.width))
        self.body, self.path = nn.Linear(len(BODY), c.width), nn.Linear(TOLD, c.width)
        self.stack = nn.ModuleList(Layer(c.width, c.heads) for _ in range(self.layers))
        self.norms = nn.ModuleList(nn.RMSNorm(c.width) for _ in range(c.levels))
        self.tops = nn.ModuleList(nn.Linear(c.width, c.codes) for _ in range(c.levels))

    def coords(self, chunk_shape: tuple[int, ...]) -> Tensor:
        return torch.arange(chunk_shape[0])[:, None]

    def signal(self, state: Tensor) -> Tensor:
        return state.flatten(0, -2)

    def forward(self, states: Tensor, times_R: Tensor, view: DrawingView, condition: Mapping[str, Tensor]) -> Tensor:
        """The tokens of every row, one-hot: drawn where there is noise, as they are where the row is clean."""
        previous = condition["previous"].argmax(-1)[:, 0]
        known = condition["previous_time"].reshape(-1) >= 1
        tokens: list[Tensor] = []

        def choose(level: int, scores_RK: Tensor) -> Tensor:
            tokens.append(view.draw(level, scores_RK))
            return tokens[-1]

        self._climb(previous, known, condition, view, choose)
        return one_hot(torch.stack(tokens, -1), self.config.codes)[:, None].to(states.dtype)

    def scores(
        self, tokens_RQ: Tensor, previous_RQ: Tensor, known_R: Tensor, told: Mapping[str, Tensor], view: View
    ) -> Tensor:
        """Scores (R, levels, codes) of every level under the true levels below it: what training needs."""
        found: list[Tensor] = []

        def choose(level: int, scores_RK: Tensor) -> Tensor:
            found.append(scores_RK)
            return tokens_RQ[:, level]

        self._climb(previous_RQ, known_R, told, view, choose)
        return torch.stack(found, 1)

    def _climb(
        self, previous_RQ: Tensor, known_R: Tensor, told: Mapping[str, Tensor], view: View, choose: Chooser
    ) -> None:
        """Level by level: layers, scores, ``choose``, and what was chosen joins what the next level starts from."""
        c, kind = self.config, self.begin.dtype
        past = torch.stack([self.before[q][previous_RQ[:, q]] for q in range(c.levels)]).sum(0)
        past = torch.where(known_R[:, None], past, self.begin)
        words = {name: told[name].to(kind) for name in ("text", "body", "path")}
        hint = self.text(words["text"]) + self.body(words["body"]) + self.path(words["path"])
        x_RLW, number = (past + hint)[:, None], 0
        for level in range(c.levels):
            for _ in range(c.part if level else c.trunk):
                x_RLW = self.stack[number](x_RLW, number, view)
                number += 1
            token_R = choose(level, self.tops[level](self.norms[level](x_RLW[:, 0])))
            if level + 1 < c.levels:
                x_RLW = x_RLW + (self.drawn[level][token_R] + hint)[:, None]
