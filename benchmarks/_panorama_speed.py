"""Parts of `unreel bench panorama`: frames per second, what attention and caches save, 500 windows on end."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from torch import Tensor

from unreel.benchmarks import _clock
from unreel.benchmarks import _panorama as p
from unreel.benchmarks._films import process_bytes, spread
from unreel.engine.model import Model
from unreel.engine.session import Session
from unreel.modalities.media.quality import Look
from unreel.modalities.panorama.film import open_film

PHOTO = (0.0, 0.0, 0.0, 90.0)
WINDOWS, WARM = 8, 2  # of a film, and how many of them go by before chunks are timed
HISTORY = 3  # windows that are all kept when caching is compared with computing again; the last is timed
ENDLESS = 500
CLIP = 3  # windows that one short clip of an endless view lasts
DEGREES = 2.0  # that an endless view turns in a frame
EVERY = 10  # windows between two looks at the memory


def speed(model: Model, held_out: list[p.Sight], quick: bool = False) -> dict[str, Any]:
    """Films of a photograph in turn, as shipped and with attention to everything; then caching against not."""
    rounds, windows = (1, 3) if quick else (4, WINDOWS)
    view = p.view(held_out[0], p.cameras([PHOTO]))
    models = {"as shipped": model, "attention to everything": p.variant(model, sparse=False)}
    films: dict[str, list[dict[str, Any]]] = {name: [] for name in models}
    with _clock.measuring():
        film(model, view, 1)
        for _ in p.progress(range(rounds), "films in turn"):
            for name, each in models.items():
                films[name].append(film(each, view, windows))
        found = {"films": {name: _summary(made) for name, made in films.items()}}
        chunks = {name: [median(one["chunk_s"]) for one in made] for name, made in films.items()}
        found["sparse_against_full"] = spread(chunks["attention to everything"], chunks["as shipped"])
        pairs = {name: attended(each, view) for name, each in models.items()}
        return {
            **found,
            "pairs": pairs,
            "cache": cache(model, view, rounds),
            "frames": windows * model.frames_per_chunk,
        }


def film(model: Model, view: Any, windows: int) -> dict[str, Any]:
    """A session written to an MP4 file, as `unreel generate` does."""
    frames = windows * model.frames_per_chunk
    times: list[float] = []
    with TemporaryDirectory() as folder:
        began = time.perf_counter()
        session = model.session(seed=1)
        session.send("view", view)
        with open_film(Path(folder) / "film.mp4", model.fps, frames=frames) as writer:
            for event in session.stream(frames=frames):
                if event.replaces is None:
                    times.append(event.timing["total"])
                writer.add(event)
        total = time.perf_counter() - began
    stats = session.stats
    return {
        "total_s": total,
        "frames_per_s": frames / total,
        "model_frames_per_s": frames / stats.model_s,
        "first_face_s": stats.first_event_s,
        "chunk_s": times[min(WARM, windows - 1) * model.regions :],
        "context_bytes": stats.peak_context_bytes,
        "steps": session.state.steps,
    }


def _summary(made: list[dict[str, Any]]) -> dict[str, Any]:
    times = [t for one in made for t in one["chunk_s"]]
    return {
        **{n: _middle([one[n] for one in made]) for n in ("frames_per_s", "model_frames_per_s", "first_face_s")},
        "chunk_s": {"p50": float(np.percentile(times, 50)), "p95": float(np.percentile(times, 95))},
        "context_bytes": max(one["context_bytes"] for one in made),
        "steps": made[0]["steps"],
        "rounds": len(made),
    }


def _middle(values: list[float]) -> dict[str, float]:
    return {"median": median(values), "min": min(values), "max": max(values)}


def attended(model: Model, view: Any) -> float:
    """Queries times keys per chunk, in thousands a layer and head, once the context is full."""
    counted, attention = [0], model.attention

    def count(q_LHD: Tensor, k_NHD: Tensor, v_NHD: Tensor) -> Tensor:
        counted[0] += q_LHD.shape[0] * k_NHD.shape[0] * q_LHD.shape[1]
        return attention(q_LHD, k_NHD, v_NHD)

    session = _begun(model, view)
    list(session.stream(chunks=HISTORY * model.regions))
    model.attention = count
    try:
        list(session.stream(chunks=model.regions))
    finally:
        model.attention = attention
    return counted[0] / model.regions / model.backbone.layers / model.backbone.heads / 1000


def _begun(model: Model, view: Any, **options: Any) -> Session:
    session = model.session(seed=1, **options)
    session.send("view", view)
    return session


def cache(model: Model, view: Any, rounds: int) -> dict[str, Any]:
    """Faces of window ``HISTORY`` whose context is all that came before: kept, and computed again in every step."""
    seconds: dict[str, list[float]] = {"cached": [], "recomputed": []}
    sent: dict[str, np.ndarray] = {}
    for _ in p.progress(range(rounds), "context cached and computed again"):
        for name, commit in (("cached", "extra"), ("recomputed", "never")):
            events = [
                event
                for event in _begun(model, view, context={"class": "full"}, commit=commit).stream(
                    chunks=HISTORY * model.regions
                )
                if event.replaces is None
            ][-model.regions :]
            seconds[name].append(sum(event.timing["total"] for event in events) / model.regions)
            sent[name] = np.stack([event.payload.frames for event in events]).astype(int)
    return {
        "windows": HISTORY,
        "seconds_per_chunk": {name: _middle(found) for name, found in seconds.items()},
        "ratio": spread(seconds["recomputed"], seconds["cached"]),
        "most_levels_apart": int(np.abs(sent["cached"] - sent["recomputed"]).max()),
        "mean_levels_apart": float(np.abs(sent["cached"] - sent["recomputed"]).mean()),
    }


# ---- endless ---------------------------------------------------------------------------------------------


def endless(model: Model, held_out: list[p.Sight], quick: bool = False) -> dict[str, Any]:
    """One session, the camera turning all the while: short clips one after the other, so nothing of a view is kept."""
    windows = 20 if quick else ENDLESS
    session, span = model.session(seed=5), model.frames_per_chunk
    look, times, at, held, process = Look(), [], [], [], []
    clips = turning(held_out[0], CLIP * span)
    with _clock.measuring():
        for window in p.progress(range(windows), "endless"):
            if window % CLIP == 0:
                session.send("view", next(clips))
            began = time.perf_counter()
            events = list(session.stream(chunks=model.regions))
            times.append(time.perf_counter() - began)
            look.add(next(e.payload.frames for e in events if e.replaces is None and e.payload.face == "B"))
            held.append(session.context_bytes)
            if window % EVERY == 0 or window == windows - 1:
                gc.collect()
                at.append(window)
                process.append(process_bytes())
    part = max(1, windows // 10)
    return {
        "windows": windows,
        "frames": windows * span,
        "compared": part,
        "window_s": _two(times, part, median),
        "window_s_p95": _two(times, part, lambda x: float(np.percentile(x, 95))),
        "context_bytes": {**_two(held, part, max), "peak": session.stats.peak_context_bytes},
        "process_bytes": {"early": process[part // EVERY], "late": process[-1], "peak": max(process)},
        "look": look.drift(part * span),
        "series": {"window": at, "context_bytes": [held[n] for n in at], "process_bytes": process, "window_s": times},
    }


def _two(values: list[Any], part: int, what: Any) -> dict[str, Any]:
    """Of the second so many values, and of the last."""
    return {"early": what(values[part : 2 * part]), "late": what(values[-part:])}


def turning(sight: p.Sight, frames: int) -> Iterator[dict[str, Any]]:
    """Clips without end of a camera that turns on and on, nodding a little."""
    at = 0
    while True:
        path = [(0.0, 20 * np.sin(n / 37), (DEGREES * n) % 360 - 180, 90.0) for n in range(at, at + frames)]
        yield p.view(sight, p.cameras(path))
        at += frames
