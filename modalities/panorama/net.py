"""The network of `panorama`: a convolutional stem and head around a causal transformer, one row per face and window.

Letters: R rows, T frames of a window, C folded channels, H and W cells (folded pixels), P pixels of the padded
canvas a side, L tokens, K candidates. A row is told what the world already shows: the given view on its canvas, and
what is made already around it (`view` and `around` in the condition).

A pixel of the answer is a blend of candidates that the head weighs per pixel and frame: what is known there (the
given view of this frame, else of another frame of the window, else the frame before, else the draft or a smooth
extension of what is known on this canvas), the same without the view, the noisy state itself, its mean over the
frames, and a newly drawn colour. So what is known stays sharp for ever and only the unknown has to be invented.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unreel.engine.backbone.conv import ResBlock, fold_pixels, unfold_pixels
from unreel.engine.backbone.dit import CausalDiT, time_features
from unreel.engine.errors import UserError
from unreel.engine.interfaces import View
from unreel.engine.rope import Rope
from unreel.modalities.panorama.cubemap import FACES, axes
from unreel.modalities.panorama.known import Known, what_is_known
from unreel.modalities.panorama.memory import Memory

FEATURES = 64  # sines and cosines per time
SPREAD = 0.5  # standard deviation of the data, for the share that the noisy state gets
CANDIDATES = 5
HOLD_RECALLED = 0.2  # ``hold`` of impressions: they are too soft to be held for long


@dataclass(frozen=True)
class PanoramaConfig:
    """Sizes. ``size`` and ``pad`` in pixels; ``places`` named kinds of place.

    ``still``: a known pixel that would change by less (of 2, the range of colours) is left exactly as it is, and a new
    one that differs by less from frame to frame stands still.
    ``hold``: before this time a drafted pixel is left as it is, so that what is drawn begins at the draft, as noisy
    as at this time (SDEdit, Meng et al. 2022). Neither changes training. ``impressions`` of places are remembered.
    """

    frames: int = 4
    size: int = 128
    pad: int = 8
    fold: int = 4
    base: int = 96
    mid: int = 128
    width: int = 256
    depth: int = 4
    heads: int = 4
    places: int = 9
    still: float = 0.04
    hold: float = 0.6
    impressions: int = 0

    def __post_init__(self) -> None:
        if self.canvas % (4 * self.fold) or self.width % self.heads or self.width // self.heads % 8:
            raise UserError(
                f"panorama needs size {self.size} + 2 * pad {self.pad} to be a multiple of 4 * fold {self.fold}, "
                f"and width {self.width} one of 8 * heads {self.heads}"
            )

    @property
    def canvas(self) -> int:
        return self.size + 2 * self.pad

    @property
    def tokens(self) -> int:
        """Tokens a side."""
        return self.canvas // (4 * self.fold)


class Encoded(NamedTuple):
    """What the stem hands on: tokens, the skips to the head, and the condition of every row."""

    tokens_RLD: Tensor
    fine: Tensor
    coarse: Tensor
    cond_RD: Tensor


def face_grid(side: int) -> Tensor:
    """Points (6, side, side, 3) of every face's cells, one apart, on a cube whose edges the outermost cells lie on."""
    steps = torch.arange(side) - (side - 1) / 2
    out, right, down = axes().float()[:, None, None].unbind(3)
    return steps[:, None] * right + steps[:, None, None] * down + (side - 1) / 2 * out


class PanoramaNet(nn.Module):
    """Clean prediction of noisy faces, told the given view and what is made around them."""

    wants_previous = False

    def __init__(
        self,
        frames: int = 4,
        size: int = 128,
        pad: int = 8,
        fold: int = 4,
        base: int = 96,
        mid: int = 128,
        width: int = 256,
        depth: int = 4,
        heads: int = 4,
        places: int = 9,
        still: float = 0.04,
        hold: float = 0.6,
        impressions: int = 0,
    ) -> None:
        super().__init__()
        c = self.config = PanoramaConfig(
            frames, size, pad, fold, base, mid, width, depth, heads, places, still, hold, impressions
        )
        self.layers, self.heads, self.head_dim = c.depth, c.heads, c.width // c.heads
        self.rope = Rope((self.head_dim // 4,) * 4, theta=100.0)
        cells = c.fold**2
        self.enter = nn.Conv2d(3 * cells * c.frames, c.base, 1)
        self.enter_known = nn.Linear((2 * 4 * c.frames + 3) * cells, c.base)
        self.time = nn.Sequential(nn.Linear(FEATURES, c.width), nn.SiLU(), nn.Linear(c.width, c.width))
        self.face = nn.Embedding(12, c.width)
        self.place = nn.Embedding(c.places + 1, c.width)
        self.where = nn.Conv2d(3, c.base, 1)
        self.fine_in = nn.ModuleList(ResBlock(c.base, c.width) for _ in range(2))
        self.down = nn.Conv2d(c.base, c.mid, 4, stride=2, padding=1)
        self.coarse_in = ResBlock(c.mid, c.width)
        self.to_tokens = nn.Conv2d(c.mid, c.width, 2, stride=2)
        self.where_token = nn.Sequential(nn.Linear(3, c.width), nn.SiLU(), nn.Linear(c.width, c.width))
        self.trunk = CausalDiT(c.width, c.depth, c.heads, c.width, self.rope)
        self.from_tokens = nn.Linear(c.width, 4 * c.mid)
        self.coarse_out = nn.ModuleList(ResBlock(c.mid, c.width) for _ in range(2))
        self.up = nn.Conv2d(c.mid, 4 * c.base, 1)
        self.fine_out = nn.ModuleList(ResBlock(c.base, c.width) for _ in range(2))
        self.leave = nn.Conv2d(c.base, (3 + c.frames * (3 + CANDIDATES)) * cells, 1)
        nn.init.normal_(self.leave.weight, std=0.01)
        assert self.leave.bias is not None, "Conv2d has one by default"
        nn.init.zeros_(self.leave.bias)
        directions = F.normalize(face_grid(c.canvas // c.fold), dim=-1).permute(0, 3, 1, 2)
        self.register_buffer("directions", directions.contiguous(), persistent=False)
        self.register_buffer("points", face_grid(c.tokens), persistent=False)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.memory = Memory(c.impressions, c.size, c.pad) if c.impressions else None

    def coords(self, chunk_shape: tuple[int, ...], region: str) -> Tensor:
        """Integer (L, 4): time 0 and the cube-surface point (x, y, z) of every token of face ``region``."""
        side = chunk_shape[-1] // 4
        points = face_grid(side).flatten(1, 2)[FACES.index(region[0])].round().long()
        return torch.cat((torch.zeros(len(points), 1, dtype=torch.long), points), -1)

    def signal(self, state_TCHW: Tensor) -> Tensor:
        """The chunk itself as the stem's first convolution sees it: (base, H, W)."""
        out: Tensor = self.enter(state_TCHW.flatten(0, 1)[None].to(self.enter.weight.dtype))[0]
        return out

    def forward(self, states_RTCHW: Tensor, times_R: Tensor, view: View, condition: Mapping[str, Tensor]) -> Tensor:
        with torch.no_grad():
            around = condition["around"]
            if self.memory is not None:
                told = (condition[name] for name in ("view", "around", "face", "place"))
                pixels = unfold_pixels(states_RTCHW, self.config.fold)
                condition = {**condition, "around": self.memory.recall(pixels, times_R, *told)}
            known = what_is_known(condition["view"].float(), condition["around"].float())
            recalled_R = (condition["around"] != around).flatten(1).any(1)
            left_R = recalled_R & (times_R >= HOLD_RECALLED)
            known = known._replace(draft_RT1PP=known.draft_RT1PP * ~left_R[:, None, None, None, None])
        encoded = self.encode(states_RTCHW, times_R, condition, known)
        tokens = self.trunk(encoded.tokens_RLD, encoded.cond_RD, view)
        noisy = (times_R < 1).nonzero().flatten()
        if len(noisy) == len(times_R):
            return fold_pixels(self.decode(tokens, encoded, states_RTCHW, times_R, known), self.config.fold)
        clean = states_RTCHW.float()  # a clean row is what it is: only its keys and values are wanted
        if len(noisy):
            told = Encoded(*(part[noisy] for part in encoded)), states_RTCHW[noisy], times_R[noisy]
            made = self.decode(tokens[noisy], *told, Known(*(part[noisy] for part in known)))
            clean = clean.index_copy(0, noisy, fold_pixels(made, self.config.fold))
        return clean

    def encode(self, states_RTCHW: Tensor, times_R: Tensor, condition: Mapping[str, Tensor], known: Known) -> Encoded:
        """Stem: pixels to tokens."""
        dtype, fold, face = self.enter.weight.dtype, self.config.fold, condition["face"]
        cond = self.time(time_features(times_R, FEATURES).to(dtype))
        cond = cond + self.face(face) + self.place(condition["place"])
        told = (condition["view"], condition["around"], known.seen_RT3PP.mean(1, keepdim=True))
        pixels = torch.cat([x.to(dtype).flatten(1, 2) for x in told], 1)
        patches = pixels.unflatten(3, (-1, fold)).unflatten(2, (-1, fold)).permute(0, 2, 4, 1, 3, 5).flatten(3)
        x = self.enter(states_RTCHW.to(dtype).flatten(1, 2).contiguous(memory_format=torch.channels_last))
        x = x + self.enter_known(patches).permute(0, 3, 1, 2)
        x = x + self.where(self.directions.to(dtype))[face % 6]
        for block in self.fine_in:
            x = block(x, cond)
        coarse = self.coarse_in(self.down(x), cond)
        points = self.points.to(dtype).flatten(1, 2)[face % 6] / (self.config.tokens // 2)
        tokens = self.to_tokens(coarse).flatten(2).transpose(1, 2) + self.where_token(points)
        return Encoded(tokens, x, coarse, cond)

    def decode(
        self, tokens_RLD: Tensor, encoded: Encoded, states_RTCHW: Tensor, times_R: Tensor, known: Known
    ) -> Tensor:
        """Head: tokens and skips to the clean prediction as pixels (R, T, 3, P, P), float32."""
        side = states_RTCHW.shape[-1] // 4
        x = self.from_tokens(tokens_RLD).transpose(1, 2).unflatten(2, (-1, side))
        x = F.pixel_shuffle(x, 2).contiguous(memory_format=torch.channels_last) + encoded.coarse
        for block in self.coarse_out:
            x = block(x, encoded.cond_RD)
        x = F.pixel_shuffle(self.up(x), 2).contiguous(memory_format=torch.channels_last) + encoded.fine
        for block in self.fine_out:
            x = block(x, encoded.cond_RD)
        parts = unfold_pixels(self.leave(F.silu(x)).float(), self.config.fold)
        return self._blend(parts, states_RTCHW, times_R, known)

    def _blend(self, parts: Tensor, states_RTCHW: Tensor, times_R: Tensor, known: Known) -> Tensor:
        """Weigh the candidates of every pixel."""
        c = self.config
        own = unfold_pixels(states_RTCHW.float(), c.fold)
        t = times_R.float()[:, None, None, None, None]
        still, moving = parts.split((3, parts.shape[1] - 3), 1)
        drawn, logits = moving.unflatten(1, (c.frames, -1)).split((3, CANDIDATES), 2)
        logits = torch.cat((logits[:, :, :1] + 2 + 2 * known.sure_RT1PP, logits[:, :, 1:]), 2)
        seen, before, new, noisy, mean = logits.softmax(2).split(1, 2)
        clean = seen * known.seen_RT3PP + before * known.before_RT3PP + new * (drawn + still[:, None])
        clean = clean + noisy * (_share(t, 1) * own) + mean * (_share(t, c.frames) * own.mean(1, keepdim=True))
        if not self.training:
            middle = clean.mean(1, keepdim=True)
            moves = (clean - middle).abs().amax((1, 2), keepdim=True) > c.still
            clean = torch.where(moves, clean, middle)  # what hardly moves stands still
            small = (clean - known.seen_RT3PP).abs().amax(2, keepdim=True) < c.still
            keep = small & (known.sure_RT1PP > 0.99) | (known.draft_RT1PP > 0.5) & (t < c.hold)
            clean = torch.where(keep, known.seen_RT3PP, clean)
        return clean


def _share(t: Tensor, frames: int) -> Tensor:
    """Factor of the best linear guess of a colour from a state at time t averaged over ``frames`` frames."""
    return t * SPREAD**2 / (t**2 * SPREAD**2 + (1 - t) ** 2 / frames)
