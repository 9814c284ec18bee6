"""Films of one model under different settings, made in turn from the same held-out play, and what they are worth.

Letters: W windows of footage, T frames. Every film of a window starts from the same real frames, has the same noise
and obeys the same actions; only the settings differ.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unreel.benchmarks import _clock
from unreel.benchmarks import _footage as footage
from unreel.engine.model import Model
from unreel.modalities.media.export import open_exporter
from unreel.modalities.media.frames import Frames
from unreel.modalities.media.quality import psnr, ssim

CEILING = 60.0  # dB, for frames that are equal


@dataclass(frozen=True)
class Job:
    """Which footage is used and how: ``given`` real frames to start from, ``chunks`` to be dreamt after them."""

    windows: tuple[int, ...]
    given: int = 14
    chunks: int = 16


@dataclass
class Films:
    """What one setting made of every window, in the order of ``Job.windows``."""

    options: Mapping[str, Any]
    frames: list[Frames] = field(default_factory=list)
    total_s: list[float] = field(default_factory=list)
    model_s: list[float] = field(default_factory=list)
    computed: int = 0
    reused: int = 0
    calls: int = 0
    context_bytes: int = 0
    process_bytes: int = 0


def shoot(model: Model, settings: Mapping[str, Mapping[str, Any]], job: Job) -> tuple[dict[str, Films], list[Frames]]:
    """Films of every setting, window by window in turn (A B C A B C ...), and the real frames of every window."""
    with _clock.measuring():
        return _shoot(model, settings, job)


def _shoot(model: Model, settings: Mapping[str, Mapping[str, Any]], job: Job) -> tuple[dict[str, Films], list[Frames]]:
    stock = footage.load()
    films = {name: Films(options) for name, options in settings.items()}
    real = []
    for window in job.windows:
        frames, actions = stock.frames[window], stock.actions[window]
        end = job.given + job.chunks * model.frames_per_chunk
        if end > len(frames):
            raise ValueError(f"footage has {len(frames)} frames a window, {end} are asked for")
        real.append(frames[job.given : end])
        for film in films.values():
            _shoot_one(model, film, job, window, frames, [int(a) for a in actions])
    return films, real


def _shoot_one(model: Model, film: Films, job: Job, window: int, frames: Frames, actions: list[int]) -> None:
    reset_peak()
    start = {"start": frames[: job.given], "start_actions": actions[: job.given], "actions": actions[job.given :]}
    given = job.given // model.frames_per_chunk
    session = model.session(seed=window, length=job.chunks, rewind=0, restart=False, **start, **film.options)
    assert session.state.next == given, "the start fills whole chunks"
    parts = []
    with TemporaryDirectory() as folder, open_exporter(Path(folder) / "film.mp4", model.fps) as writer:
        began = time.perf_counter()
        for event in session.stream(chunks=job.chunks):
            writer.write(event.payload)
            parts.append(event.payload)
        film.total_s.append(time.perf_counter() - began)
    stats = session.stats
    film.frames.append(np.concatenate(parts))
    film.model_s.append(stats.model_s)
    film.computed += stats.steps_computed
    film.reused += stats.steps_reused
    film.calls += stats.calls
    film.context_bytes = max(film.context_bytes, stats.peak_context_bytes)
    film.process_bytes = max(film.process_bytes, peak_bytes())


def rows(films: Mapping[str, Films], real: Sequence[Frames], plain: str, job: Job) -> list[dict[str, Any]]:
    """One row of plain numbers per setting; ratios are per window and interleaved, so noise hits both sides."""
    base = films[plain]
    base_error = np.mean([rmse(f, r) for f, r in zip(base.frames, real, strict=True)], axis=0)
    chunks = job.chunks * len(job.windows)
    result = []
    for name, film in films.items():
        error = np.mean([rmse(f, r) for f, r in zip(film.frames, real, strict=True)], axis=0)
        against = np.array([psnr(f, b).clip(0, CEILING) for f, b in zip(film.frames, base.frames, strict=True)])
        alike = np.array([ssim(f, b) for f, b in zip(film.frames, base.frames, strict=True)])
        result.append(
            {
                "name": name,
                "options": dict(film.options),
                "end_to_end": spread(base.total_s, film.total_s),
                "model_only": spread(base.model_s, film.model_s),
                "ms_per_chunk": 1e3 * median(film.total_s) / job.chunks,
                "computed_per_chunk": film.computed / chunks,
                "reused_per_chunk": film.reused / chunks,
                "calls_per_chunk": film.calls / chunks,
                "context_bytes": film.context_bytes,
                "process_bytes": film.process_bytes,
                "psnr_db": pooled_db(against),
                "psnr_by_frame_db": [pooled_db(against[:, t]) for t in range(against.shape[1])],
                "psnr_worst_window_db": min(pooled_db(w) for w in against),
                "ssim": float(alike.mean()),
                "real_rmse": float(error.mean()),
                "real_rmse_by_frame": [float(e) for e in error],
                "drift": float(error.mean() / base_error.mean() - 1),
                "drift_late": float(error[-8:].mean() / base_error[-8:].mean() - 1),
            }
        )
    return result


def spread(base: Sequence[float], other: Sequence[float]) -> dict[str, float]:
    """base / other, pair by pair: median, min and max."""
    ratios = sorted(b / o for b, o in zip(base, other, strict=True))
    return {"median": median(ratios), "min": ratios[0], "max": ratios[-1]}


def pooled_db(decibels: NDArray[np.float64]) -> float:
    """The PSNR of the mean squared error of many frames: one bad frame counts for more than in a mean of dB."""
    return float(-10 * np.log10(np.mean(10 ** (-np.asarray(decibels) / 10))))


def rmse(a_THWC: Frames, b_THWC: Frames) -> NDArray[np.float64]:
    """Root mean squared difference per frame, in levels of 0..255."""
    error: NDArray[np.float64] = np.sqrt(np.mean((a_THWC.astype(np.float64) - b_THWC) ** 2, axis=(1, 2, 3)))
    return error


def reset_peak() -> None:
    """Let ``peak_bytes`` begin anew (Linux; elsewhere it is the peak of the whole process)."""
    gc.collect()
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


def peak_bytes() -> int:
    """The most memory this process held since ``reset_peak``, 0 where the system does not tell."""
    return _status("VmHWM")


def process_bytes() -> int:
    """The memory this process holds now."""
    return _status("VmRSS")


def _status(field_: str) -> int:
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(field_)), 0)
