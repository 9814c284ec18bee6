"""Endless: thousands of chunks with every lever on; time, context bytes and process bytes must stay flat."""

from __future__ import annotations

import gc
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import unreel
from unreel.benchmarks import _clock, _plots, _tables
from unreel.benchmarks._films import process_bytes
from unreel.benchmarks.reuse import SMALL
from unreel.modalities.media.quality import Look

MODEL = "dream"
CHUNKS = 5000
EVERY = 50  # chunks between two looks at the memory


def run(quick: bool = False) -> dict[str, Any]:
    """One session of ``CHUNKS`` chunks: preset `fast`, hybrid context, int8, the actions changing all the while."""
    model = unreel.load(MODEL)
    chunks = 300 if quick else CHUNKS
    preset = dict(model.card.presets.get("fast", {}))
    options = {**preset, "context": {"class": "hybrid", **SMALL, "static": static(model), "storage": "int8"}}
    look, times, held, process, at = Look(), [], [], [], []
    with _clock.measuring():
        session = model.session(seed=5, actions="wd-30,s-20,a-40,none-10,w-25,sd-15", **options)
        for count, event in enumerate(session.stream(chunks=chunks)):
            times.append(event.timing["total"])
            look.add(event.payload)
            if count % EVERY == 0:
                gc.collect()
                at.append(count)
                held.append(session.context_bytes)
                process.append(process_bytes())
    part = max(1, chunks // 10)
    early = slice(chunks // 20, chunks // 20 + part)
    return {
        "setting": _tables.setting(),
        "model": MODEL,
        "options": options,
        "chunks": chunks,
        "frames": chunks * model.frames_per_chunk,
        "computed_per_chunk": session.stats.steps_computed / chunks,
        "chunk_s": {"early": median(times[early]), "late": median(times[-part:])},
        "chunk_s_p95": {
            "early": float(np.percentile(times[early], 95)),
            "late": float(np.percentile(times[-part:], 95)),
        },
        "context_bytes": {"early": held[len(held) // 10], "late": held[-1], "peak": session.stats.peak_context_bytes},
        "process_bytes": {"early": process[len(process) // 10], "late": process[-1], "peak": max(process)},
        "look": look.drift(part * model.frames_per_chunk),
        "series": {"chunk": at, "context_bytes": held, "process_bytes": process, "chunk_s": times[::EVERY]},
    }


def static(model: Any) -> list[list[int]]:
    """The model's static heads; none where it was not profiled."""
    return [list(heads) for heads in model.heads] or [[] for _ in range(model.backbone.layers)]


def table(results: dict[str, Any]) -> str:
    """Markdown, ready for the README."""
    measured = (
        ("seconds per chunk, median", results["chunk_s"], "{:.3f}".format),
        ("seconds per chunk, p95", results["chunk_s_p95"], "{:.3f}".format),
        ("context MB", results["context_bytes"], _tables.megabytes),
        ("process MB", results["process_bytes"], _tables.megabytes),
    )
    body = [[n, show(m["early"]), show(m["late"]), f"{m['late'] / m['early'] - 1:+.1%}"] for n, m, show in measured]
    look = ", ".join(f"{n.replace('_', ' ')} {value:.2f}" for n, value in results["look"].items() if value is not None)
    note = (
        f"{results['model']}, {results['chunks']} chunks ({results['frames']} frames) in one session, reuse and hybrid "
        f"int8 context on, {results['computed_per_chunk']:.1f} steps computed per chunk. Early is a tenth of them, "
        f"near the beginning; late the last tenth. Picture, late over early: {look}. "
        f"{_tables.caption(results['setting'])}"
    )
    return f"{_tables.markdown(('', 'early', 'late', 'change'), body)}\n\n{note}"


def plots(results: dict[str, Any], folder: Path) -> list[Path]:
    """Memory over chunks."""
    series = results["series"]
    path = folder / "endless-memory.png"
    drawn = _plots.lines(
        path,
        f"{MODEL}: memory over {results['chunks']} chunks",
        ("chunk", "MB"),
        {
            "process": (series["chunk"], [b / 1e6 for b in series["process_bytes"]]),
            "context": (series["chunk"], [b / 1e6 for b in series["context_bytes"]]),
        },
    )
    return [path] if drawn else []
