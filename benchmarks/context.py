"""Contexts on `dream`: what each costs in quality at every horizon, and what it saves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import unreel
from unreel.benchmarks import _plots, _tables
from unreel.benchmarks._fidelity import attention_errors
from unreel.benchmarks._films import Job, rmse, shoot, spread
from unreel.engine.model import Model

MODEL = "dream"
WINDOWS = tuple(range(3, 80, 8))
HORIZONS = 4  # parts a film is cut into


def run(quick: bool = False) -> dict[str, Any]:
    """Error against real footage by horizon; bytes of policies with a bank are fixed by budgets."""
    job = Job(WINDOWS[:2], chunks=8) if quick else Job(WINDOWS, chunks=17)
    model = unreel.load(MODEL)
    settings = dream_contexts(model, job)
    films, real = shoot(model, {name: {"context": spec} for name, spec in settings.items()}, job)
    truth = {
        name: np.mean([_db(f, r) for f, r in zip(film.frames, real, strict=True)], 0) for name, film in films.items()
    }
    base = films["full"]
    errors = attention_errors(model, settings, 1 if quick else 3)
    rows = []
    for name, film in films.items():
        parts = [float(part.mean()) for part in np.array_split(truth[name], HORIZONS)]
        full = [float(part.mean()) for part in np.array_split(truth["full"], HORIZONS)]
        rows.append(
            {
                "name": name,
                "context": settings[name],
                "end_to_end": spread(base.total_s, film.total_s),
                "context_bytes": film.context_bytes,
                "process_bytes": film.process_bytes,
                "attention_error": errors[name],
                "real_psnr_db": parts,
                "below_full_db": [a - b for a, b in zip(full, parts, strict=True)],
                "real_psnr_by_frame_db": [float(x) for x in truth[name]],
            }
        )
    return {
        "setting": _tables.setting(),
        "model": MODEL,
        "windows": len(job.windows),
        "given": job.given,
        "chunks": job.chunks,
        "rows": rows,
    }


def _db(a: Any, b: Any) -> Any:
    return 20 * np.log10(255 / rmse(a, b))


def dream_contexts(model: Model, job: Job) -> dict[str, dict[str, Any]]:
    """Full; the card's window; banks at half the bytes of either; packed."""
    chunks = job.given // model.frames_per_chunk + job.chunks
    shape = model.codec.latent_shape(int(model.card.plan["frames"]), *model.frame_size)
    backbone = model.backbone
    tokens = model.coords(tuple(shape)).shape[0]
    item = 4 if "float32" in str(model.dtype) else 2
    one = backbone.layers * tokens * backbone.heads * backbone.head_dim * 2 * item
    window = int(model.card.context.get("recent", chunks)) + int(model.card.context.get("sink", 0))
    horizon = model.card.context.get("horizon")
    static = [list(heads) for heads in model.heads] or [[] for _ in range(backbone.layers)]
    half_full, half_window = chunks * one // 2, int((window + 0.1) * one) // 2
    bank = {"sink": 0, "recent": 2, "horizon": horizon, "budget_bytes": half_window}
    hybrid = {"class": "hybrid", "static": static, **bank, "bank": None}
    return {
        "full": {"class": "full"},
        "window (card)": {**model.card.context, "storage": "bfloat16"},
        "window, half its bytes": {**model.card.context, "storage": "bfloat16", "budget_bytes": half_window},
        "window int8": {**model.card.context, "storage": "int8"},
        "importance-redundancy, half the window": {"class": "importance-redundancy", **bank},
        "heads, half the window": {"class": "heads", "static": static, **bank, "bank": None, "tile": [2, 2]},
        "hybrid, half of full": {**hybrid, "budget_bytes": half_full},
        "hybrid, half the window": hybrid,
        "hybrid int8, a quarter of the window": {**hybrid, "storage": "int8", "budget_bytes": half_window // 2},
    }


def table(found: dict[str, Any]) -> str:
    """Markdown, ready for the README."""
    frames = len(found["rows"][0]["real_psnr_by_frame_db"])
    cuts = [f"frames {p[0] + 1}-{p[-1] + 1}" for p in np.array_split(np.arange(frames), HORIZONS)]
    head = (
        f"context on {found['model']}",
        "bytes (MB)",
        "attention error",
        "end to end",
        *(f"{cut}, dB" for cut in cuts),
        "worst loss, dB",
    )
    body = [
        [
            row["name"],
            _tables.megabytes(row["context_bytes"]),
            f"{row['attention_error']:.1%}",
            _tables.ratio(row["end_to_end"]),
            *(f"{x:.2f}" for x in row["real_psnr_db"]),
            f"{max(row['below_full_db']):+.2f}",
        ]
        for row in found["rows"]
    ]
    note = (
        f"PSNR against real footage, mean over {found['windows']} windows; {found['given']} real frames, then "
        f"{found['chunks']} chunks dreamt with the card's own schedule. A loss is what `full` is better "
        "by. Attention error: relative L2, against full, of what attention returns for the same 20 chunks. "
        f"{_tables.caption(found['setting'])}"
    )
    return f"{_tables.markdown(head, body)}\n\n{note}"


def plots(results: dict[str, Any], folder: Path) -> list[Path]:
    """Quality over time on `dream`."""
    found = results["rows"]
    frames = list(range(1, 1 + len(found[0]["real_psnr_by_frame_db"])))
    series = {row["name"]: (frames, row["real_psnr_by_frame_db"]) for row in found}
    path = folder / "context-dream.png"
    drawn = _plots.lines(path, "dream: contexts against real footage", ("frame", "PSNR (dB)"), series)
    return [path] if drawn else []
