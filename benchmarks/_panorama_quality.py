"""Parts of `unreel bench panorama`: how good worlds around held-out views are; their seams; how still they stand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unreel.benchmarks import _features
from unreel.benchmarks import _panorama as p
from unreel.benchmarks._panorama_baselines import mirrored, nearest
from unreel.engine.model import Model
from unreel.modalities.media.frames import Frames
from unreel.modalities.panorama.cubemap import view_from_faces, view_rays

PHOTOS = ((0.0, 0.0, 0.0, 90.0), (0.0, 10.0, 120.0, 90.0), (0.0, -15.0, 240.0, 90.0))  # roll, pitch, yaw, fov
TURN, TURNING = 24, 5.0  # frames of a clip, degrees a frame
AGO = 4  # frames that something has been out of sight when it counts as remembered
DIRECTIONS, CROP, CROP_FOV = 32, 72, 60.0  # looked at all round; pixels and degrees of a crop
STILL = 40  # frames of a world around a photograph


def quality(model: Model, train: list[p.Sight], held_out: list[p.Sight], quick: bool = False) -> dict[str, Any]:
    """Photographs and turning clips of held-out panoramas: inside the view against the truth, outside by crops."""
    photos = [(sight, camera) for sight in held_out for camera in PHOTOS]
    photos = photos[:3] if quick else photos
    codec: Any = model.codec
    size = codec.size
    cut: dict[str, list[Frames]] = {}
    rows = []
    for number, (sight, camera) in enumerate(p.progress(photos, "photographs")):
        seen_by = p.cameras([camera])
        view, real = p.view(sight, seen_by), p.truth(sight, size)
        given, seen = p.projected(view, size)
        ours = p.shoot(model, view, model.frames_per_chunk, seed=number).faces
        copy, whose = nearest(view, train, size)
        worlds = {"ours": ours[-1:], "mirror-fill": mirrored(view, size), "nearest": copy, "truth": real}
        inside, outside = seen >= p.COVERED, seen == 0
        rows.append(
            {
                "sight": sight.name,
                "camera": camera,
                "nearest": whose,
                "inside_psnr_db": float(p.psnr_where(ours, real, inside).mean()),
                "inside_ssim": p.ssim_where(ours, real, inside.expand(len(ours), -1, -1, -1)),
                "given_psnr_db": float(p.psnr_where(given.round(), real, inside).mean()),
                "given_ssim": p.ssim_where(given.round(), real, inside),
                "outside_psnr_db": {n: float(p.psnr_where(w, real, outside).mean()) for n, w in worlds.items()},
                "sharpness": {n: p.energy(w, outside) / p.energy(real, outside) for n, w in worlds.items()},
            }
        )
        ways = outward(seen_by[0])
        for name, world in worlds.items():
            cut.setdefault(name, []).append(crops(world, ways))
    clips = [(s, n) for n, s in enumerate(held_out[:1] if quick else held_out)]
    return {
        "photos": rows,
        "clips": [clip(model, sight, size, seed) for sight, seed in p.progress(clips, "turning clips")],
        "frechet": distances({name: np.concatenate(parts) for name, parts in cut.items()}),
    }


def clip(model: Model, sight: p.Sight, size: int, seed: int) -> dict[str, Any]:
    """A camera that turns: inside its view, and what it saw before, against the truth."""
    path = p.cameras([(0.0, 0.0, TURNING * n, 90.0) for n in range(TURN)])
    view, real = p.view(sight, path), p.truth(sight, size)
    _, seen = p.projected(view, size)
    ours = p.shoot(model, view, TURN, seed).faces
    inside = seen >= p.COVERED
    before = inside.float().cumsum(0) - inside.float()
    gone = torch.stack([seen[max(0, t - AGO + 1) : t + 1].amax(0) == 0 for t in range(TURN)])
    return {
        "sight": sight.name,
        "inside_psnr_db": float(p.psnr_where(ours, real, inside).mean()),
        "inside_ssim": p.ssim_where(ours, real, inside),
        "remembered_psnr_db": float(p.psnr_where(ours, real, (before > 0) & gone).nanmean()),
        "unseen_psnr_db": float(p.psnr_where(ours, real, (before == 0) & (seen == 0)).nanmean()),
    }


def outward(camera_4: Tensor) -> Tensor:
    """Cameras (N, 4) all round whose crops show nothing of what ``camera`` shows: the same for every method."""
    turn = math.pi * (3 - math.sqrt(5))  # a spiral over the sphere: neighbours lie nearly as far apart everywhere
    found = []
    target = view_rays(camera_4, 24, 32).flatten(0, 1)
    for n in range(DIRECTIONS):
        pitch = math.degrees(math.asin(1 - (2 * n + 1) / DIRECTIONS))
        way = p.cameras([(0.0, pitch, math.degrees(n * turn) % 360 - 180, CROP_FOV)])[0]
        if not (_shows(camera_4, p.SHAPE, view_rays(way, 32, 32).flatten(0, 1)) or _shows(way, (1, 1), target)):
            found.append(way)
    return torch.stack(found)


def _shows(camera_4: Tensor, shape: tuple[int, int], rays_N3: Tensor) -> bool:
    """Whether any ray lies in a camera's view."""
    ahead = view_rays(camera_4, 1, 1)[0, 0]
    right, down = view_rays(camera_4, 1, 2)[0, 1] - ahead, view_rays(camera_4, 2, 1)[1, 0] - ahead
    tangent = math.tan(math.radians(float(camera_4[3])) / 2)
    depth = rays_N3 @ ahead
    x, y = rays_N3 @ right / right.norm(), rays_N3 @ down / down.norm()
    seen = (depth > 0) & (x.abs() <= tangent * depth) & (y.abs() <= tangent * shape[0] / shape[1] * depth)
    return bool(seen.any())


def crops(faces: Tensor, ways_N4: Tensor) -> Frames:
    """What the last frame of a world shows in so many directions: uint8 (N, CROP, CROP, 3)."""
    pictures = torch.cat([view_from_faces(faces[-1:], way[None], CROP, CROP) for way in ways_N4])
    cut: Frames = pictures.round().clamp(0, 255).byte().movedim(1, -1).contiguous().numpy()
    return cut


def distances(cut: dict[str, Frames]) -> dict[str, Any]:
    """Frechet distances to the crops of the truth; of one half of these to the other for the floor."""
    seen = {name: _features.features(pictures) for name, pictures in cut.items()}
    real = seen.pop("truth")
    found = {name: _features.frechet(rows, real).distance for name, rows in seen.items()}
    mixed = np.random.default_rng(0).permutation(len(real))
    floor = _features.frechet(real[mixed[::2]], real[mixed[1::2]])
    halves = {name: _features.frechet(rows[mixed[::2]], real[mixed[1::2]]).distance for name, rows in seen.items()}
    return {
        "network": f"{_features.PACKAGE} {_features.LAYER}",
        "pictures": len(real),
        "dimensions": int(real.shape[1]),
        "distance": found,
        "real_halves": floor.distance,
        "halves": halves,
    }


# ---- seams and stillness ---------------------------------------------------------------------------------


def seams(model: Model, held_out: list[p.Sight], quick: bool = False) -> dict[str, Any]:
    """The step ratio of generated pixels with and without blending and padding, and of the truth."""
    photos = [(sight, camera) for sight in held_out for camera in PHOTOS]
    photos = photos[:2] if quick else photos
    codec: Any = model.codec
    size, pad = codec.size, codec.pad
    bare = p.variant(model, surround=False)
    found: dict[str, list[tuple[float, float]]] = {}
    cells: dict[str, list[float]] = {}
    for number, (sight, camera) in enumerate(p.progress(photos, "seams")):
        view = p.view(sight, p.cameras([camera]))
        open_ = p.projected(view, size)[1] == 0
        told = p.shoot(model, view, model.frames_per_chunk, seed=number)
        untold = p.shoot(bare, view, model.frames_per_chunk, seed=number)
        worlds = {
            "as shipped": told.faces,
            "blended evenly": told.cut(pad, blended=True),
            "later faces give way": told.cut(pad, blended=True, yielding=True),
            "without blending": told.cut(pad, blended=False),
            "without padding": untold.faces,
            "without padding, blended evenly": untold.cut(pad, blended=True),
            "without both": untold.cut(pad, blended=False),
            "truth": p.truth(sight, size),
        }
        for name, world in worlds.items():
            found.setdefault(name, []).append(p.steps(world, open_.expand(len(world), -1, -1, -1)))
        for name in ("as shipped", "truth"):
            cells.setdefault(name, []).append(p.cell_ratio(worlds[name], open_, codec.fold))
    return {
        "worlds": len(photos),
        "ratio": {
            name: {
                **p.outline([across / beside for across, beside in steps]),
                "pooled": sum(across for across, _ in steps) / sum(beside for _, beside in steps),
            }
            for name, steps in found.items()
        },
        "cell": codec.fold,
        "cells": {name: p.outline(ratios) for name, ratios in cells.items()},
    }


def flicker(model: Model, held_out: list[p.Sight], quick: bool = False) -> dict[str, Any]:
    """Around a photograph nothing moves: how much pixels outside change from frame to frame, and how detail fades."""
    used, frames = (held_out[:1], 12) if quick else (held_out, STILL)
    codec: Any = model.codec
    size, span = codec.size, model.frames_per_chunk
    rows = []
    for number, sight in enumerate(p.progress(used, "flicker")):
        view = p.view(sight, p.cameras([PHOTOS[0]]))
        outside = p.projected(view, size)[1][0] == 0
        faces = p.shoot(model, view, frames, seed=number).faces
        change = p.luma(faces).diff(dim=0).abs()[:, outside].mean(-1)
        between = torch.arange(1, frames) % span == 0
        late, early = (p.energy(part, outside) for part in (faces[-span:], faces[:span]))
        shift = (p.luma(faces[-span:]).mean(0) - p.luma(faces[:span]).mean(0)).abs()[outside].mean()
        rows.append(
            {
                "sight": sight.name,
                "change": float(change.mean()),
                "change_most": float(change.max()),
                "change_between_windows": float(change[between].mean()),
                "energy_late_over_early": late / early,
                "moved_from_first_to_last": float(shift),
            }
        )
    return {"frames": frames, "rows": rows}
