"""Finding reuse thresholds for a wanted quality and writing them into a model card as presets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from unreel import catalogue
from unreel.benchmarks._films import Job, rows, shoot
from unreel.engine.model import Model

# Costs in rows of a backbone call, measured on `dream` (CPU time): a call besides its rows, and a chunk besides its
# calls (signals, sampler, decode, encode). Choosing by rows keeps a busy machine out of the choice.
CALL, CHUNK = 1.3, 1.3


def search(
    model: Model, pipelined: dict[str, Any], job: Job, candidates: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Every candidate reuse policy with its cost in rows per chunk, its estimated speed and its quality."""
    settings = {"plain": pipelined}
    for spec in candidates:
        settings[" ".join(f"{v}" for v in spec.values())] = {**pipelined, "reuse": spec}
    films, real = shoot(model, settings, job)
    found = rows(films, real, "plain", job)
    for row in found:
        row["cost"] = row["computed_per_chunk"] + CALL * row["calls_per_chunk"] + 1 + CHUNK
        row["speed"] = found[0]["cost"] / row["cost"]
    return found[1:]


def choose(found: Sequence[dict[str, Any]], speed: float, least_db: float, most_drift: float) -> dict[str, Any] | None:
    """The closest to plain of those fast enough, with no more error against real footage, early or late."""
    good = [
        row
        for row in found
        if row["speed"] >= speed and row["psnr_db"] >= least_db and max(row["drift"], row["drift_late"]) <= most_drift
    ]
    return max(good, key=lambda row: row["psnr_db"]) if good else None


def write_presets(model: str, presets: dict[str, dict[str, Any]]) -> Path:
    """Put presets into a model's card; all else in it stays."""
    path, _ = catalogue.locate(model)
    card = yaml.safe_load(path.read_text(encoding="utf-8"))
    card["presets"] = presets
    part = path.with_name(path.name + ".part")
    part.write_text(yaml.safe_dump(card, sort_keys=False, width=110), encoding="utf-8")
    os.replace(part, path)
    return path


def describe(found: Sequence[dict[str, Any]]) -> str:
    """One line per setting, cheapest first."""
    lines = [f"{'rows':>5} {'speed':>6} {'PSNR':>5} {'drift':>7} {'late':>7} {'time':>6}  policy"]
    for row in sorted(found, key=lambda row: row["cost"]):
        lines.append(
            f"{row['computed_per_chunk']:5.1f} {row['speed']:5.2f}x {row['psnr_db']:5.1f} {row['drift']:+7.1%} "
            f"{row['drift_late']:+7.1%} {row['end_to_end']['median']:5.2f}x  {row['name']}"
        )
    return "\n".join(lines)
