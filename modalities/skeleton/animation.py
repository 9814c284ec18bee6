"""glTF animations evaluated at a fixed rate: the world matrices of nodes over time."""

from __future__ import annotations

from typing import Any

import numpy as np

from unreel.modalities.skeleton.document import Document
from unreel.modalities.skeleton.kinematics import local_matrices
from unreel.modalities.skeleton.rotations import Floats, slerp, unit

PATHS = {"translation": 3, "rotation": 4, "scale": 3}
LONGEST = 36_000  # frames of one clip

Tracks = dict[tuple[int, str], Floats]  # (node, path) -> values (T, 3 or 4)


def sample(document: Document, animation: dict[str, Any], fps: float, notes: list[str]) -> Tracks | None:
    """Every channel at ``fps``, from the first key of the animation to its last; None when it moves no node."""
    name = animation.get("name") or "an animation"
    channels = []
    for channel in animation.get("channels", ()):
        target = channel["target"]
        if target.get("path") == "weights":
            notes.append(f"{name}: moves morph targets, that part is left out")
        elif "node" in target and target["path"] in PATHS:
            document.item("nodes", target["node"])
            sampler = animation["samplers"][channel["sampler"]]
            times = document.numbers(sampler["input"])[:, 0].astype(np.float64)
            if len(times):
                channels.append((target["node"], target["path"], sampler, times))
    if not channels:
        return None
    start = min(times.min() for *_, times in channels)
    stop = max(times.max() for *_, times in channels)
    frames = round((stop - start) * fps) + 1
    if not np.isfinite(stop - start) or frames > LONGEST:
        notes.append(f"{name}: {stop - start:g} s is too long at {fps:g} frames per second, left out")
        return None
    at = np.minimum(start + np.arange(frames) / fps, stop)
    tracks: Tracks = {}
    for node, path, sampler, times in channels:
        values = document.numbers(sampler["output"]).astype(np.float64)
        track = interpolate(times, values, sampler.get("interpolation", "LINEAR"), at, rotation=path == "rotation")
        if track is None or not np.isfinite(track).all():
            notes.append(f"{name}: the {path} of node {node} is damaged, left out")
        else:
            tracks[node, path] = track
    return tracks or None


def interpolate(times: Floats, values: Floats, kind: str, at: Floats, *, rotation: bool) -> Floats | None:
    """The values (T, width) of one sampler at ``at`` (T,) seconds, held before its first key and after its last.

    None when its keys do not rise or do not match its values (CUBICSPLINE has three per key).
    """
    per_key = 3 if kind == "CUBICSPLINE" else 1
    if len(values) != per_key * len(times) or np.any(np.diff(times) < 0):
        return None
    after = np.searchsorted(times, at, side="right")
    low = np.clip(after - 1, 0, len(times) - 1)
    high = np.clip(after, 0, len(times) - 1)
    span = times[high] - times[low]
    part = np.where(span > 0, np.clip(at - times[low], 0, None) / np.where(span > 0, span, 1), 0.0)
    if kind == "CUBICSPLINE":
        into, value, out = values[0::3], values[1::3], values[2::3]
        s, step = part[:, None], span[:, None]
        track = (
            (2 * s**3 - 3 * s**2 + 1) * value[low]
            + step * (s**3 - 2 * s**2 + s) * out[low]
            + (3 * s**2 - 2 * s**3) * value[high]
            + step * (s**3 - s**2) * into[high]
        )
        return unit(track) if rotation else track
    if kind == "STEP":
        return unit(values[low]) if rotation else values[low]
    if rotation:
        return slerp(unit(values[low]), unit(values[high]), part)
    return values[low] + part[:, None] * (values[high] - values[low])


def pose_nodes(document: Document, tracks: Tracks, nodes: list[int]) -> dict[int, Floats]:
    """World matrices (T, 4, 4) of ``nodes`` (parents first, all ancestors among them) under an animation."""
    frames = len(next(iter(tracks.values())))
    found: dict[int, Floats] = {}
    for node in nodes:
        if any((node, path) in tracks for path in PATHS):
            parts = [tracks.get((node, path), rest) for path, rest in zip(PATHS, document.local(node), strict=True)]
            local = local_matrices(*(np.broadcast_to(part, (frames, part.shape[-1])) for part in parts))
        else:
            local = np.broadcast_to(document.matrix(node), (frames, 4, 4))
        above = document.parents[node]
        found[node] = local if above < 0 else found[above] @ local
    return found
