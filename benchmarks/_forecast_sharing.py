"""What it saves to forecast many futures as one batch that shares its past, against as many runs of their own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import torch
from torch import Tensor

from unreel.benchmarks._forecast_clips import CONTEXT, Given
from unreel.engine.model import Model
from unreel.modalities.world.forecast import Forecast
from unreel.modalities.world.forecaster import Forecaster

FUTURES, FRAMES = 16, 32
BATCHES = (3, 16)  # futures in one backbone call


def sharing(given: Given) -> dict[str, Any]:
    """Seconds and context bytes, in turns; the results of the batch are compared with those of the runs alone."""
    model, rounds = given.model, 1 if given.quick else 3
    futures, frames = (8, 8) if given.quick else (FUTURES, FRAMES)
    past = {"observations": given.clips.truth["rgb"][0, :CONTEXT], "actions": given.clips.actions[0, :CONTEXT]}
    script = given.clips.actions[0, CONTEXT : CONTEXT + frames]
    batched = {batch: Forecaster(model, batch=batch) for batch in BATCHES}
    batched[BATCHES[-1]].forecast(past, script, 2, 2)  # first use of everything
    seconds: dict[str, list[tuple[float, float]]] = {}
    made: dict[str, Forecast] = {}
    alone: list[Tensor] = []
    for _ in range(rounds):
        for batch, forecaster in batched.items():
            with _clocked(seconds.setdefault(f"batch of {batch}", [])):
                made[f"batch of {batch}"] = forecaster.forecast(past, script, frames, futures)
        with _clocked(seconds.setdefault("alone", [])):
            alone, held = _alone(model, past, script, made[f"batch of {BATCHES[0]}"].seeds, frames)
    found: dict[str, Any] = {"futures": futures, "frames": frames, "observed_frames": CONTEXT, "rounds": rounds}
    found["alone"] = {**_times(seconds["alone"]), "context_bytes": held}
    for name, forecast in made.items():
        gaps = torch.stack(alone) - forecast.latents
        found[name] = {
            **_times(seconds[name]),
            "faster_cpu": _spread([a[0] / b[0] for a, b in zip(seconds["alone"], seconds[name], strict=True)]),
            "faster_wall": _spread([a[1] / b[1] for a, b in zip(seconds["alone"], seconds[name], strict=True)]),
            "context_bytes": forecast.context.total,
            "bytes_over_alone": forecast.context.total / held,
            "largest_difference": float(gaps.abs().max()),
            "rms_difference": float(gaps.square().mean().sqrt()),
            "latents_std": float(torch.stack(alone).std()),
        }
    last = made[f"batch of {BATCHES[-1]}"]
    found["observed"] = {
        "context_bytes": last.observed_bytes,
        "bytes_over_alone_by_chunk": [round(one.total / (one.apart - last.observed_bytes), 4) for one in last.contexts],
    }  # fmt: skip
    return found


def _alone(
    model: Model, past: dict[str, Any], script: Any, seeds: tuple[int, ...], frames: int
) -> tuple[list[Tensor], int]:
    """Runs that share nothing: their latents, and the bytes that their contexts take together."""
    made, held = [], 0
    for seed in seeds:
        session = model.session(
            seed, past["observations"], start_actions=past["actions"].tolist(), actions=script.tolist(),
            rewind=0, decode=False,
        )  # fmt: skip
        made.append(torch.cat([event.payload for event in session.stream(frames=frames)])[:frames])
        held += int(session.stats.summary()["peak_context_bytes"])
        session.close()
    return made, held


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
