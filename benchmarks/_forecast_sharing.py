"""What it saves to forecast many futures as one batch that shares its past, against as many runs of their own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unreel.benchmarks._forecast_clips import CONTEXT, Given
from unreel.modalities.world.branch import leaves
from unreel.modalities.world.forecast import Forecast
from unreel.modalities.world.forecaster import Forecaster
from unreel.modalities.world.metrics import psnr

FUTURES, FRAMES = 16, 32
VARIANTS: dict[str, tuple[int, bool]] = {  # futures in one backbone call, and whether they keep the past
    "batch of 3": (3, False), "batch of 16": (16, False), "batch of 16, past kept": (16, True),
}  # fmt: skip
ALONE = {False: "alone", True: "alone, past kept"}


def sharing(given: Given) -> dict[str, Any]:
    """Seconds and context bytes, in turns; every batch against the runs alone that make the same futures."""
    model, rounds = given.model, 1 if given.quick else 3
    futures, frames = (8, 8) if given.quick else (FUTURES, FRAMES)
    past = {"observations": given.clips.truth["rgb"][0, :CONTEXT], "actions": given.clips.actions[0, :CONTEXT]}
    script = given.clips.actions[0, CONTEXT : CONTEXT + frames]
    batched = {name: Forecaster(model, batch=batch, keep_past=kept) for name, (batch, kept) in VARIANTS.items()}
    batched["batch of 16"].forecast(past, script, 2, 2)  # first use of everything
    seconds: dict[str, list[tuple[float, float]]] = {}
    made: dict[str, Forecast] = {}
    alone: dict[str, tuple[Tensor, int]] = {}
    for _ in range(rounds):
        for name, forecaster in batched.items():
            with _clocked(seconds.setdefault(name, [])):
                made[name] = forecaster.forecast(past, script, frames, futures)
        for kept, name in ALONE.items():
            with _clocked(seconds.setdefault(name, [])):
                alone[name] = _alone(Forecaster(model, keep_past=kept), past, script, made["batch of 3"].seeds, frames)
    found: dict[str, Any] = {"futures": futures, "frames": frames, "observed_frames": CONTEXT, "rounds": rounds}
    for name, (_, held) in alone.items():
        found[name] = {**_times(seconds[name]), "context_bytes": held}
    for name, forecast in made.items():
        twin = ALONE[VARIANTS[name][1]]
        latents, held = alone[twin]
        gaps = latents - forecast.latents
        found[name] = {
            **_times(seconds[name]),
            "faster_cpu": _spread([a[0] / b[0] for a, b in zip(seconds[twin], seconds[name], strict=True)]),
            "faster_wall": _spread([a[1] / b[1] for a, b in zip(seconds[twin], seconds[name], strict=True)]),
            "context_bytes": forecast.context.total,
            "bytes_over_alone": forecast.context.total / held,
            "largest_difference": float(gaps.abs().max()),
            "rms_difference": float(gaps.square().mean().sqrt()),
            "latents_std": float(latents.std()),
        }
    last = made["batch of 16"]
    found["observed"] = {
        "context_bytes": last.observed_bytes,
        "bytes_over_alone_by_chunk": [round(one.total / (one.apart - last.observed_bytes), 4) for one in last.contexts],
    }  # fmt: skip
    found["past kept"] = _nearness(given, frames)
    return found


def _alone(
    forecaster: Forecaster, past: dict[str, Any], script: Any, seeds: tuple[int, ...], frames: int
) -> tuple[Tensor, int]:
    """Runs that share nothing, each with its own look at the past: their latents, and the bytes of their contexts."""
    made, held = [], 0
    for seed in seeds:
        root = forecaster.encode(past, rewind=0)
        (session,) = leaves(root, [seed], forecaster.keep_past)
        session.send("action", script.tolist())
        made.append(torch.cat([event.payload for event in session.stream(frames=frames)])[:frames])
        held += int(session.stats.summary()["peak_context_bytes"])
        session.close()
        root.close()
    return torch.stack(made), held


def _nearness(given: Given, frames: int) -> dict[str, Any]:
    """What keeping the past does to the forecast: PSNR (dB) at some horizons, mean over windows, with and without."""
    horizons = [h for h in (8, 16, 32) if h <= frames]
    found: dict[str, Any] = {"horizons": horizons, "windows": len(given.clips.actions)}
    for kept in (False, True):
        forecaster, values = Forecaster(given.model, keep_past=kept), []
        for n, (seen, actions) in enumerate(zip(given.clips.truth["rgb"], given.clips.actions, strict=True)):
            past = {"observations": seen[:CONTEXT], "actions": actions[:CONTEXT]}
            film = forecaster.forecast(past, actions[CONTEXT : CONTEXT + frames], frames, 1, seed=n)["rgb"][0]
            values.append([psnr(film[h - 1 : h], seen[CONTEXT + h - 1 : CONTEXT + h]) for h in horizons])
        found["kept" if kept else "window"] = [round(float(value), 2) for value in np.mean(values, 0)]
    return found


@contextmanager
def _clocked(into: list[tuple[float, float]]) -> Iterator[None]:
    """Notes the CPU and the wall seconds that pass inside."""
    cpu, wall = time.process_time(), time.perf_counter()
    yield
    into.append((time.process_time() - cpu, time.perf_counter() - wall))


def _times(pairs: list[tuple[float, float]]) -> dict[str, float]:
    return {"cpu_s": median(cpu for cpu, _ in pairs), "wall_s": median(wall for _, wall in pairs)}


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": median(values), "min": min(values), "max": max(values)}
