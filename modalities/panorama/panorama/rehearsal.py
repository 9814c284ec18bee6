"""Worlds made face by face with a training net, and how good they are: what a trainer looks at.

No engine, no cache: every step runs all rows that it may attend to. Slow, but the very rows of training.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from unreel.engine.backbone.conv import fold_pixels
from unreel.modalities.panorama.cubemap import pad_faces
from unreel.modalities.panorama.net import PanoramaNet
from unreel.modalities.panorama.panorama.forcing import RowMaker, Scene, Wish, masked, predict


@torch.no_grad()
def rehearse(
    net: PanoramaNet,
    views_T64SS: Tensor,
    windows: int,
    place: int,
    levels: Sequence[float],
    generator: torch.Generator,
    draft_64PP: Tensor | None = None,
) -> Tensor:
    """Faces (windows * T, 6, 3, S, S) in [-1, 1] for given views (RGB times coverage, and coverage).

    Views that end early leave the later windows without any. ``levels`` are the times of the steps, from 0.
    """
    c, rows = net.config, RowMaker(net)
    n, blank = c.frames, torch.zeros(c.frames, 6, 3, c.size, c.size)
    made: list[Tensor] = []
    for window in range(windows):
        first = max(0, window - 1)
        number = window - first
        empty = torch.zeros(1 + 2 * n, 6, 3, c.size, c.size)
        guess = None if window else draft_64PP
        scene = Scene(empty, empty[:, :, :1], views_T64SS[first * n :], place, guess)
        now, before = blank.clone(), made[-1] if made else None
        shown = scene.views[number * n : (number + 1) * n, :, 3]
        cover = shown.mean((0, 2, 3)) if len(shown) else torch.zeros(6)
        order = tuple(cover.argsort(descending=True, stable=True).tolist())
        last = None if before is None else masked(before[-1:], 0.5)
        earlier = masked(made[-2][-1:], 0.5) if len(made) > 1 else None
        for at, face in enumerate(order):
            state = torch.randn(1, n, 3 * c.fold**2, c.canvas // c.fold, c.canvas // c.fold, generator=generator)
            for t, then in zip(levels, (*levels[1:], 1.0), strict=True):
                wish = Wish(number, order, (at,), torch.tensor([t]), before, last, now, earlier)
                clean = predict(net, rows.make(scene, wish), state)
                state = state + (then - t) / (1 - t) * (fold_pixels(clean, c.fold) - state)
            now[:, face] = clean[0, ..., c.pad : c.pad + c.size, c.pad : c.pad + c.size].clamp(-1, 1)
        made.append(now)
    return torch.cat(made)


def inside(faces_T63SS: Tensor, truth_T63SS: Tensor, cover_T61SS: Tensor) -> float:
    """PSNR in decibels where the view covers; colours span 2."""
    weight = (cover_T61SS > 0.99).float()
    error = ((faces_T63SS - truth_T63SS).square() * weight).sum() / (3 * weight.sum()).clamp(min=1)
    return float(10 * torch.log10(4 / error.clamp(min=1e-9)))


def sharpness(faces_T63SS: Tensor, cover_T61SS: Tensor) -> float:
    """Mean absolute step between neighbouring pixels where the view does not cover."""
    free = (cover_T61SS < 0.01).float()
    total, count = 0.0, 1.0
    for axis in (-1, -2):
        steps = faces_T63SS.diff(dim=axis).abs().mean(2, keepdim=True)
        weight = free.narrow(axis, 0, steps.shape[axis])
        total, count = total + float((steps * weight).sum()), count + float(weight.sum())
    return total / count


def seams(faces_T63SS: Tensor) -> float:
    """Mean step across the cube's edges over the mean step between neighbouring pixels inside faces."""
    padded = pad_faces(faces_T63SS, 1)
    across = [
        padded[..., 0, 1:-1] - padded[..., 1, 1:-1],
        padded[..., -1, 1:-1] - padded[..., -2, 1:-1],
        padded[..., 1:-1, 0] - padded[..., 1:-1, 1],
        padded[..., 1:-1, -1] - padded[..., 1:-1, -2],
    ]
    inner = [faces_T63SS.diff(dim=-1).abs().mean(), faces_T63SS.diff(dim=-2).abs().mean()]
    return float(torch.stack([a.abs().mean() for a in across]).mean() / torch.stack(inner).mean().clamp(min=1e-6))
