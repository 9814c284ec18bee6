"""The network of `dream`: a convolutional stem and head around a causal transformer, one row per chunk.

Letters: R rows, T frames of a chunk, C folded channels, H and W cells, P pixels a side, L tokens.

A pixel of the answer is a blend of candidates that the head weighs per pixel and frame: the learned
backdrop (a picture that the network remembers), the frame before moved by up to `reach` pixels, the
noisy state itself, and a newly drawn colour. So what stands still stays sharp for ever, what is
uncovered is painted from memory, and only what is new has to be invented.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unreel.engine.backbone.conv import ResBlock, fold_pixels, unfold_pixels
from unreel.engine.backbone.dit import CausalDiT, grid_coords, time_features
from unreel.engine.errors import UserError
from unreel.engine.interfaces import View
from unreel.engine.rope import Rope

FEATURES = 64  # sines and cosines per time
SPREAD = 0.5  # standard deviation of the data, for the share that the noisy state gets


@dataclass(frozen=True)
class DreamConfig:
    """Sizes. Cells are folded pixels (64 / fold a side); the transformer works on a quarter of them a side."""

    actions: int = 9
    frames: int = 2
    fold: int = 2
    size: int = 64
    base: int = 64
    mid: int = 128
    width: int = 256
    depth: int = 4
    heads: int = 4
    reach: int = 2
    blocks: int = 1
    kernel: int = 1

    def __post_init__(self) -> None:
        if self.size % (4 * self.fold) or self.width % self.heads or self.width % self.frames:
            raise UserError(
                f"dream needs size {self.size} to be a multiple of 4 * fold {self.fold}, and width {self.width} "
                f"one of heads {self.heads} and of frames {self.frames}"
            )

    @property
    def channels(self) -> int:
        return 3 * self.fold**2

    @property
    def cells(self) -> int:
        return self.size // self.fold


Corner = tuple[int, int]


class Encoded(NamedTuple):
    """What the stem hands on: tokens, the skips to the head, and the condition of every row."""

    tokens_RLD: Tensor
    fine: Tensor
    coarse: Tensor
    cond_RD: Tensor


def cut(whole: Tensor, corner: Corner, scale: int, like: Tensor) -> Tensor:
    """The part of a learned map (..., H, W) that lies under ``like``."""
    (y, x), (height, width) = (c * scale for c in corner), like.shape[-2:]
    return whole[..., y : y + height, x : x + width]


class Shifts(torch.autograd.Function):
    """``sum_k weights[k] * frame moved by offset k`` over all offsets within reach, edges repeated.

    Written out because the automatic gradient of so many slices costs more than the rest of the head.
    """

    @staticmethod
    def forward(ctx: Any, frame_R3PP: Tensor, weights_RKPP: Tensor, reach: int) -> Tensor:
        padded = F.pad(frame_R3PP, (reach,) * 4, mode="replicate")
        ctx.save_for_backward(padded, weights_RKPP)
        ctx.reach = reach
        total = torch.zeros_like(frame_R3PP)
        for weight, window in zip(weights_RKPP.unbind(1), _windows(padded, reach), strict=True):
            total.addcmul_(weight[:, None], window)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor, None]:
        (padded, weights), reach, grad = ctx.saved_tensors, ctx.reach, grads[0]
        to_weights = torch.stack([(grad * window).sum(1) for window in _windows(padded, reach)], 1)
        if not ctx.needs_input_grad[0]:
            return None, to_weights, None
        spread = torch.zeros_like(padded)
        for weight, window in zip(weights.unbind(1), _windows(spread, reach), strict=True):
            window.addcmul_(weight[:, None], grad)
        return spread[..., reach:-reach, reach:-reach], to_weights, None  # repeated edges carry no gradient


def _windows(padded: Tensor, reach: int) -> list[Tensor]:
    height, width = padded.shape[-2] - 2 * reach, padded.shape[-1] - 2 * reach
    offsets = range(2 * reach + 1)
    return [padded[..., y : y + height, x : x + width] for y in offsets for x in offsets]


class DreamNet(nn.Module):
    """Clean prediction of noisy chunks, told the keys held and the chunk before."""

    wants_previous = True

    def __init__(
        self,
        actions: int = 9,
        frames: int = 2,
        fold: int = 2,
        size: int = 64,
        base: int = 64,
        mid: int = 128,
        width: int = 256,
        depth: int = 4,
        heads: int = 4,
        reach: int = 2,
        blocks: int = 1,
        kernel: int = 1,
    ) -> None:
        super().__init__()
        c = self.config = DreamConfig(
            actions, frames, fold, size, base, mid, width, depth, heads, reach, blocks, kernel
        )
        self.layers, self.heads, self.head_dim = c.depth, c.heads, c.width // c.heads
        self.rope = Rope.split(self.head_dim)
        inputs = 2 * c.frames * c.channels
        self.time = nn.Sequential(nn.Linear(2 * FEATURES, c.width), nn.SiLU(), nn.Linear(c.width, c.width))
        self.action = nn.Embedding(c.actions + 1, c.width // c.frames)
        self.action_mix = nn.Linear(c.width, c.width)
        self.enter = nn.Conv2d(inputs, c.base, 3, padding=1)
        self.place = nn.Parameter(torch.randn(1, c.base, c.cells, c.cells) * 0.02)
        self.fine_in = ResBlock(c.base, c.width)
        self.down = nn.Conv2d(c.base, c.mid, 4, stride=2, padding=1)
        self.coarse_in = nn.ModuleList(ResBlock(c.mid, c.width) for _ in range(c.blocks))
        self.to_tokens = nn.Conv2d(c.mid, c.width, 2, stride=2)
        self.place_token = nn.Parameter(torch.randn(1, c.width, c.cells // 4, c.cells // 4) * 0.02)
        self.trunk = CausalDiT(c.width, c.depth, c.heads, c.width, self.rope)
        self.from_tokens = nn.Linear(c.width, 4 * c.mid)
        self.coarse_out = nn.ModuleList(ResBlock(c.mid, c.width) for _ in range(c.blocks))
        self.up = nn.Conv2d(c.mid, 4 * c.base, 1)
        self.fine_out = nn.ModuleList(ResBlock(c.base, c.width) for _ in range(2))
        self.leave = nn.Conv2d(c.base, c.frames * (self.candidates + 3) * c.fold**2, c.kernel, padding=c.kernel // 2)
        self.backdrop = nn.Parameter(torch.zeros(3, c.size, c.size))
        nn.init.normal_(self.leave.weight, std=0.01)
        nn.init.zeros_(self.leave.bias)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def candidates(self) -> int:
        """Backdrop, drawn, noisy state, and the shifts of the frame before."""
        return 3 + ((2 * self.config.reach + 1) ** 2 if self.config.reach else 0)

    def coords(self, chunk_shape: tuple[int, ...]) -> Tensor:
        return grid_coords(1, chunk_shape[-2] // 4, chunk_shape[-1] // 4)

    def signal(self, state: Tensor) -> Tensor:
        """The share of the stem's first convolution that sees the chunk itself: (base, H, W)."""
        own = self.enter.weight[:, : state.shape[0] * state.shape[1]]
        return F.conv2d(state.flatten(0, 1)[None], own, padding=1)[0]

    def forward(self, states_RTCHW: Tensor, times_R: Tensor, view: View, condition: Mapping[str, Tensor]) -> Tensor:
        encoded = self.encode(states_RTCHW, times_R, condition)
        tokens = self.trunk(encoded.tokens_RLD, encoded.cond_RD, view)
        return self.decode(tokens, encoded, states_RTCHW, times_R, condition["previous"])

    def encode(
        self, states_RTCHW: Tensor, times_R: Tensor, condition: Mapping[str, Tensor], corner: Corner = (0, 0)
    ) -> Encoded:
        """Stem: pixels to tokens. ``corner`` (y, x), in tokens, is where a crop of the world lies (training)."""
        previous, dtype = condition["previous"], self.enter.weight.dtype
        times = torch.cat([time_features(t, FEATURES) for t in (times_R, condition["previous_time"])], -1)
        cond = self.time(times.to(dtype)) + self.action_mix(self.action(condition["action"]).flatten(1))
        x = torch.cat((states_RTCHW.flatten(1, 2), previous.flatten(1, 2)), 1).to(dtype)
        x = self.enter(x.contiguous(memory_format=torch.channels_last)) + cut(self.place, corner, 4, x)
        fine = self.fine_in(x, cond)
        coarse = self.down(fine)
        for block in self.coarse_in:
            coarse = block(coarse, cond)
        x = self.to_tokens(coarse)
        tokens = (x + cut(self.place_token, corner, 1, x)).flatten(2).transpose(1, 2)
        return Encoded(tokens, fine, coarse, cond)

    def decode(
        self,
        tokens_RLD: Tensor,
        encoded: Encoded,
        states_RTCHW: Tensor,
        times_R: Tensor,
        previous: Tensor,
        corner: Corner = (0, 0),
    ) -> Tensor:
        """Head: tokens and skips to the clean prediction, float32."""
        side = states_RTCHW.shape[-1] // 4
        x = self.from_tokens(tokens_RLD).transpose(1, 2).unflatten(2, (-1, side))
        x = F.pixel_shuffle(x, 2).contiguous(memory_format=torch.channels_last) + encoded.coarse
        for block in self.coarse_out:
            x = block(x, encoded.cond_RD)
        x = F.pixel_shuffle(self.up(x), 2).contiguous(memory_format=torch.channels_last) + encoded.fine
        for block in self.fine_out:
            x = block(x, encoded.cond_RD)
        parts = F.pixel_shuffle(self.leave(F.silu(x)).float(), self.config.fold)
        backdrop = cut(self.backdrop, corner, 4 * self.config.fold, parts).float()
        return self._blend(parts.unflatten(1, (self.config.frames, -1)), backdrop, states_RTCHW, times_R, previous)

    def _blend(
        self, parts: Tensor, backdrop: Tensor, states_RTCHW: Tensor, times_R: Tensor, previous: Tensor
    ) -> Tensor:
        """Weigh the candidates of every pixel, the second frame's copies taken from the first."""
        fold, s = self.config.fold, SPREAD
        t = times_R.float()[:, None, None, None]
        keep = t * s**2 / (t**2 * s**2 + (1 - t) ** 2)  # the best linear guess from the noisy state alone
        noisy = unfold_pixels(states_RTCHW.float(), fold)
        last = unfold_pixels(previous[:, -1:].float(), fold)[:, 0]
        frames = []
        for part, own in zip(parts.unbind(1), noisy.unbind(1), strict=True):  # unbind: slices have costly gradients
            drawn, logits = part.split((3, self.candidates), 1)
            still, new, kept, moved = logits.softmax(1).split((1, 1, 1, self.candidates - 3), 1)
            last = (still + new) * backdrop + new * drawn + kept * keep * own + self._moved(last, moved)
            frames.append(last)
        return fold_pixels(torch.stack(frames, 1), fold)

    def _moved(self, frame_R3PP: Tensor, weights_RKPP: Tensor) -> Tensor | float:
        """The frame shifted by every offset within reach, each weighted per pixel, summed."""
        return Shifts.apply(frame_R3PP, weights_RKPP, self.config.reach) if self.config.reach else 0.0
