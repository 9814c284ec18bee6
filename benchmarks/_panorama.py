"""What the parts of `unreel bench panorama` share: panoramas that a model never saw, views of them, and measures.

Letters: T frames, C channels (3), S pixels of a face a side, N cameras. Faces are levels 0..255 as float32
(T, 6, 3, S, S) in the order F R B L U D; ``seen`` (T, 6, S, S) is the share of each pixel that the view covers.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.nn.functional import max_pool2d, pixel_shuffle

from unreel.engine.model import Model
from unreel.modalities.media.quality import LUMA, ssim_map
from unreel.modalities.panorama.cube import centres
from unreel.modalities.panorama.cubemap import (
    FACES,
    crop_faces,
    faces_from_erp,
    faces_from_view,
    pad_faces,
    view_from_erp,
)
from unreel.modalities.panorama.data import HEIGHT, load_panoramas, split
from unreel.modalities.panorama.film import Windows
from unreel.modalities.panorama.seams import blend

SHAPE = (144, 192)  # of a view: 4:3
NEAR = 8  # steps inside a face, beside a seam, that the step across it is compared with
COVERED = 1 - 1e-4  # from here on a pixel is wholly covered, in float32
T_ = TypeVar("T_")


@dataclass(frozen=True)
class Sight:
    """A panorama, uint8 (3, H, 2H)."""

    name: str
    picture_3HW: Tensor


@dataclass(frozen=True)
class Made:
    """What a session made: ``faces`` as they were sent, and of every window the padded canvases (T, 3, P, P) that they
    are cut out of, -1..1, by face in the order in which they were made."""

    faces: Tensor
    canvases: list[dict[str, Tensor]]

    def cut(self, pad: int, blended: bool, yielding: bool = False) -> Tensor:
        """Faces anew from the canvases: blended with each other or not, the later ones giving way or not."""
        parts = []
        for window in self.canvases:
            order = "".join(window) if yielding else ""
            faces = [blend(f, window, pad, order) if blended else crop_faces(window[f], pad) for f in FACES]
            parts.append(torch.stack(faces, 1))
        return ((torch.cat(parts)[: len(self.faces)] + 1) * 127.5).round()


def sights(data: Path | None) -> tuple[list[Sight], list[Sight]]:
    """Those trained on and those held out of a folder; without one, three that are drawn stand for the latter."""
    if data is None:
        return [], [drawn(seed) for seed in range(3)]
    train, held_out = split(load_panoramas(data), data)
    return [Sight(p.name, p.picture_3HW) for p in train], [Sight(p.name, p.picture_3HW) for p in held_out]


def drawn(seed: int, height: int = HEIGHT, waves: int = 60) -> Sight:
    """A panorama without seams that nobody has seen: waves through space, the coarse ones strong."""
    rng = torch.Generator().manual_seed(seed)
    frequency = torch.logspace(0, math.log10(height / 12), waves)
    heading = torch.nn.functional.normalize(torch.randn(waves, 3, generator=rng), dim=-1) * frequency[:, None]
    colour = torch.randn(3, waves, generator=rng) / frequency.sqrt()
    phase = 2 * math.pi * torch.rand(waves, generator=rng)
    heights = torch.einsum("cw,hxw->chx", colour, (erp_rays(height) @ heading.T + phase).sin())
    return Sight(f"drawn-{seed}", (127.5 + 35 * heights).round().clamp(0, 255).byte())


def erp_rays(height: int) -> Tensor:
    """Unit directions through the pixel centres of an equirectangular picture: (height, 2 height, 3), float32."""
    yaw, pitch = centres(2 * height)[None] * math.pi, -centres(height)[:, None] * math.pi / 2
    level = pitch.cos()
    return torch.stack((-level * yaw.sin(), pitch.sin().expand(-1, 2 * height), level * yaw.cos()), -1).float()


def cameras(rows: Sequence[Sequence[float]]) -> Tensor:
    """(N, 4) of rows roll, pitch, yaw, fov."""
    return torch.tensor(rows, dtype=torch.float32)


def view(sight: Sight, cameras_N4: Tensor, shape: tuple[int, int] = SHAPE) -> dict[str, Any]:
    """What cameras see of a panorama, as a session takes it."""
    erp = sight.picture_3HW.float()[None].expand(len(cameras_N4), -1, -1, -1)
    pictures = view_from_erp(erp, cameras_N4, *shape)
    return {"frames": pictures.round().clamp(0, 255).byte().movedim(1, -1).contiguous(), "cameras": cameras_N4}


def truth(sight: Sight, size: int) -> Tensor:
    """The faces of a panorama (1, 6, 3, S, S), rounded like what is compared with them."""
    return faces_from_erp(sight.picture_3HW.float()[None], size).round().clamp(0, 255)


def projected(view_: dict[str, Any], size: int) -> tuple[Tensor, Tensor]:
    """A view on the faces (N, 6, 3, S, S), and ``seen`` (N, 6, S, S)."""
    found = faces_from_view(view_["frames"].movedim(-1, 1).float(), view_["cameras"], size)
    return found[:, :, :3], found[:, :, 3]


def variant(model: Model, **plan: Any) -> Model:
    """The same network under another plan; nothing is copied."""
    card = model.card.model_copy(update={"plan": {**model.card.plan, **plan}})
    other = Model(card, model.backbone, model.codec, model.device, model.dtype)
    other.heads = model.heads
    return other


def shoot(model: Model, view_: dict[str, Any] | None, frames: int, seed: int = 0) -> Made:
    """``frames`` of the world around a view, as a viewer gets them."""
    session, windows = model.session(seed=seed, rewind=0), Windows()
    if view_ is not None:
        session.send("view", view_)
    sent: list[Tensor] = []
    canvases: dict[int, dict[str, Tensor]] = {}
    codec: Any = model.codec
    for event in session.stream(frames=frames):
        if event.replaces is None:
            canvas = pixel_shuffle(session.state.past[event.chunk.index].clean.float(), codec.fold)
            canvases.setdefault(event.chunk.start, {})[event.chunk.region] = canvas.clamp(-1, 1)
        sent += [torch.from_numpy(w).permute(1, 0, 4, 2, 3).float() for w in windows.add(event)]
    return Made(torch.cat(sent)[:frames], [canvases[start] for start in sorted(canvases)])


# ---- measures --------------------------------------------------------------------------------------------


def psnr_where(faces: Tensor, real: Tensor, where: Tensor, axes: tuple[int, ...] = (1, 2, 3)) -> Tensor:
    """Decibels of the pixels where ``where`` (T, 6, S, S) is True: one per frame; with axes (2, 3), per frame and face.

    Not a number where there is no such pixel; at most 60.
    """
    error = ((faces - real) ** 2).mean(2) * where
    mean = error.sum(axes) / where.sum(axes)
    return 10 * torch.log10(255**2 / mean.clamp(min=255**2 * 1e-6))


def ssim_where(faces: Tensor, real: Tensor, where: Tensor) -> float:
    """Structural similarity over windows of 11 pixels that lie in ``where`` altogether."""
    a, b = (x.expand_as(faces).flatten(0, 1).movedim(1, -1).byte().numpy() for x in (faces, real))
    lacking = max_pool2d(1 - where.flatten(0, 1)[:, None].float(), 11, stride=1)[:, 0]
    inside = (lacking == 0).numpy()
    return float(ssim_map(a, b)[inside].mean()) if inside.any() else math.nan


def step_ratio(faces: Tensor, where: Tensor | None = None) -> float:
    """The mean step across the cube's edges over the mean of the steps beside them: 1 is a seam that cannot be seen."""
    across, beside = steps(faces, where)
    return across / beside if beside else math.nan


def steps(faces: Tensor, where: Tensor | None = None) -> tuple[float, float]:
    """The mean step across the cube's edges, and that of the ``NEAR`` steps beside them that run the same way.

    Absolute differences of neighbouring pixels, averaged over colours; only between pixels that are both ``where``.
    """
    mask = torch.ones_like(faces[:, :, :1]) if where is None else where[:, :, None].float()
    padded, known = pad_faces(faces, 1), pad_faces(mask.expand(len(faces), -1, -1, -1, -1), 1)
    totals = torch.zeros(2, 2)
    for turns in range(4):
        rows, there = (x.rot90(turns, (-2, -1))[..., : NEAR + 2, 1:-1] for x in (padded, known))
        steps = rows.diff(dim=-2).abs().mean(2, keepdim=True)
        weights = there[..., 1:, :] * there[..., :-1, :]
        for index, part in enumerate((slice(0, 1), slice(1, None))):
            totals[index, 0] += (steps * weights)[..., part, :].sum()
            totals[index, 1] += weights[..., part, :].sum()
    (seam, seams), (inner, inners) = totals.tolist()
    return (seam / seams if seams else math.nan), (inner / inners if inners else math.nan)


def cell_ratio(faces: Tensor, where: Tensor, cell: int) -> float:
    """The mean step across the edges of a network's cells of so many pixels, inside faces, over all other steps there.

    1 where no cell can be seen. The cube's edges are edges of cells too, so its seams cannot be finer than this.
    """
    totals = torch.zeros(2, 2)
    for axis in (-1, -2):
        steps = faces.diff(dim=axis).abs().mean(2).transpose(axis, -1)
        mask = where.float().expand(len(faces), -1, -1, -1).transpose(axis, -1)
        weights = mask[..., 1:] * mask[..., :-1]
        edge = torch.arange(1, faces.shape[-1]) % cell == 0
        for index, part in enumerate((edge, ~edge)):
            totals[index, 0] += (steps * weights)[..., part].sum()
            totals[index, 1] += weights[..., part].sum()
    (across, edges), (within, others) = totals.tolist()
    return (across / edges) / (within / others) if edges and others else math.nan


def energy(faces: Tensor, where: Tensor | None = None) -> float:
    """Gradient energy: mean squared step of luma between neighbouring pixels that are both ``where``."""
    light = luma(faces)
    mask = torch.ones_like(light) if where is None else where.float().expand_as(light)
    total = count = 0.0
    for axis, low, high in ((-2, (slice(1, None), slice(None)), (slice(None, -1), slice(None))),
                            (-1, (slice(None), slice(1, None)), (slice(None), slice(None, -1)))):  # fmt: skip
        weight = mask[..., *low] * mask[..., *high]
        total += float((light.diff(dim=axis) ** 2 * weight).sum())
        count += float(weight.sum())
    return total / count if count else math.nan


def luma(faces: Tensor) -> Tensor:
    """(T, 6, S, S), levels 0..255."""
    return torch.einsum("tncyx,c->tnyx", faces, torch.from_numpy(LUMA).float())


def outline(values: Sequence[float]) -> dict[str, float]:
    """Mean, least and most of what is a number."""
    known = np.array([v for v in values if not math.isnan(v)])
    return {"mean": float(known.mean()), "min": float(known.min()), "max": float(known.max())}


# ---- progress --------------------------------------------------------------------------------------------


def progress(items: Sequence[T_], what: str) -> Iterable[T_]:
    """The items, with a line on stderr; where that is no terminal, what took how long is said at the end."""
    console, began = Console(stderr=True), time.monotonic()
    yield from track(items, f"panorama: {what}", console=console, transient=True, disable=not console.is_terminal)
    if not console.is_terminal:
        print(f"panorama: {what}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
