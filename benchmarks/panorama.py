"""Panoramas: quality on held-out ones (--data), seams, stillness, camera motions, speed, 500 windows, 4K faces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import unreel
from unreel.benchmarks import (
    _panorama,
    _panorama_4k,
    _panorama_motion,
    _panorama_quality,
    _panorama_speed,
    _parts,
    _plots,
    _tables,
)
from unreel.benchmarks import _panorama_tables as shown
from unreel.engine.errors import UserError
from unreel.engine.model import Model

MODEL = "panorama"
WITHOUT_DATA = "left out: it needs held-out panoramas, as in --data ../shared/data/panoramas"

Part = Callable[[Model, list[_panorama.Sight], list[_panorama.Sight], bool], dict[str, Any]]
PARTS: dict[str, Part] = {
    "speed": lambda model, train, held_out, quick: _panorama_speed.speed(model, held_out, quick),
    "4k": lambda model, train, held_out, quick: _panorama_4k.geometry(model, quick),
    "seams": lambda model, train, held_out, quick: _panorama_quality.seams(model, held_out, quick),
    "flicker": lambda model, train, held_out, quick: _panorama_quality.flicker(model, held_out, quick),
    "motions": lambda model, train, held_out, quick: _panorama_motion.motions(model, held_out, quick),
    "quality": lambda model, train, held_out, quick: _panorama_quality.quality(model, train, held_out, quick),
    "endless": lambda model, train, held_out, quick: _panorama_speed.endless(model, held_out, quick),
}


def run(
    quick: bool = False,
    data: Path | None = None,
    parts: Sequence[str] = (),
    json: Path | None = None,
    model: Model | None = None,
) -> dict[str, Any]:
    """All parts, or some. Each is written to ``json`` as it comes, beside what that file holds of other parts already.

    Raises:
        UserError: a part of no name; a folder without panoramas.
    """
    names = _parts.chosen("panorama", parts, PARTS)
    train, held_out = _panorama.sights(data)
    if not held_out:
        raise UserError(f"none of the panoramas in {data} is held out: name some in {data}/held-out.txt")
    used = model or unreel.load(MODEL)

    def measure(name: str) -> dict[str, Any]:
        if name == "quality" and not train:
            return {"note": WITHOUT_DATA}
        made = {"setting": {**_tables.setting(), "quick": quick}, "sights": [s.name for s in held_out]}
        return {**made, **PARTS[name](used, train, held_out, quick)}

    return _parts.completed(names, json, bool(parts), measure, lambda results: {"model": _described(used)})


def _described(model: Model) -> dict[str, Any]:
    card = model.card
    trained = {n: card.training[n] for n in ("steps", "minutes", "commit") if n in card.training}
    return {
        "name": model.name,
        "dtype": str(model.dtype).removeprefix("torch."),
        "schedule": card.schedule.model_dump(),
        "sampler": card.sampler,
        "context": card.context,
        "training": trained,
    }


def table(results: dict[str, Any]) -> str:
    """Markdown of all parts that were measured, ready for the README."""
    return "\n\n".join(shown.SECTIONS[name](results[name]) for name in shown.SECTIONS if name in results)


def plots(results: dict[str, Any], folder: Path) -> list[Path]:
    """Decibels inside the view by frame of every motion; seconds and memory of the endless session."""
    drawn: list[Path] = []
    if "motions" in results:
        found: dict[str, list[list[float]]] = {}
        for row in results["motions"]["rows"]:
            found.setdefault(row["motion"], []).append(row["psnr_by_frame_db"])
        series = {
            name: (range(1, 1 + len(rows[0])), [mean(column) for column in zip(*rows, strict=True)])
            for name, rows in found.items()
        }
        path = folder / "panorama-motions.png"
        drawn += [path] * _plots.lines(path, "panorama: inside the view", ("frame", "PSNR (dB)"), series)
    if "endless" in results:
        series_of = results["endless"]["series"]
        at = series_of["window"]
        lines = {
            "process (MB)": (at, [b / 1e6 for b in series_of["process_bytes"]]),
            "context (MB)": (at, [b / 1e6 for b in series_of["context_bytes"]]),
            "window (ms)": (range(len(series_of["window_s"])), [1e3 * s for s in series_of["window_s"]]),
        }
        path = folder / "panorama-endless.png"
        title = f"panorama: {results['endless']['windows']} windows"
        drawn += [path] * _plots.lines(path, title, ("window", "MB, ms"), lines)
    return drawn
