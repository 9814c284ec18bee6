"""Contexts at the published geometry of Wan 2.1 1.3B: time per chunk and bytes, random weights.

On one thread (OMP_NUM_THREADS=1) other programs on the machine do not count, see `_clock.py`.
"""

from __future__ import annotations

from statistics import median
from typing import Any

from unreel.benchmarks import _tables, _wan
from unreel.benchmarks._films import spread

STATIC_SHARE = 5 / 12  # published: 37 % of Self-Forcing's heads, 43 % of LongLive's


def run(quick: bool = False) -> dict[str, Any]:
    """480p and 1080p; about ten minutes on two quiet cores, twice that on one. ``quick``: a small frame only."""
    found = [(_wan.SMALL, 1)] if quick else [(_wan.P480, 2), (_wan.P1080, 1)]
    return {
        "setting": _tables.setting(),
        "geometries": [wan(geometry, contexts(geometry), rounds) for geometry, rounds in found],
    }


def contexts(geometry: _wan.Geometry) -> dict[str, dict[str, Any]]:
    """Full history (21 latent frames with the chunk in work), LongLive's window, and ours."""
    still = list(range(round(12 * STATIC_SHARE)))
    ours = {"static": [still] * geometry.depth, "sink": 1, "recent": 1, "bank": 1.0}
    window = {"class": "window", "sink": 1, "recent": 2}
    found: dict[str, dict[str, Any]] = {
        "full": {"class": "full", "storage": "bfloat16"},
        "window 3+6": {**window, "storage": "bfloat16"},
        "heads": {"class": "heads", **ours, "storage": "bfloat16"},
        "hybrid": {"class": "hybrid", **ours, "storage": "bfloat16"},
        "hybrid int8": {"class": "hybrid", **ours, "storage": "int8"},
    }
    if geometry.name == "1080p":
        return {name: found[name] for name in ("full", "window 3+6", "hybrid", "hybrid int8")}
    return found


def wan(geometry: _wan.Geometry, settings: dict[str, dict[str, Any]], rounds: int) -> dict[str, Any]:
    """Chunks of every context in turn, ``rounds`` times."""
    model = _wan.model(geometry)
    made: dict[str, list[dict[str, float]]] = {name: [] for name in settings}
    for _ in range(rounds):
        for name, spec in settings.items():
            session = _wan.session(model, geometry, spec)
            made[name].append(_wan.next_chunk(session))
            session.close()
    base = {name: [chunk["seconds"] for chunk in found] for name, found in made.items()}
    window_bytes = made["window 3+6"][0]["context_bytes"]
    rows = [
        {
            "name": name,
            "seconds": median(base[name]),
            "against_full": spread(base["full"], base[name]),
            "against_window": spread(base["window 3+6"], base[name]),
            "context_bytes": max(chunk["context_bytes"] for chunk in found),
            "bytes_of_window": max(chunk["context_bytes"] for chunk in found) / window_bytes,
            "process_bytes": max(chunk["process_bytes"] for chunk in found),
        }
        for name, found in made.items()
    ]
    return {
        "geometry": geometry.name,
        "layers": geometry.depth,
        "steps": geometry.steps,
        "commit": geometry.commit,
        "tokens_per_frame": geometry.tokens_per_frame,
        "rounds": rounds,
        "rows": rows,
    }


def table(results: dict[str, Any]) -> str:
    """Markdown, ready for the README."""
    parts = [_wan_table(found) for found in results["geometries"]]
    return "\n\n".join([*parts, _tables.caption(results["setting"])])


def _wan_table(found: dict[str, Any]) -> str:
    head = (
        f"context at Wan 1.3B {found['geometry']}", "s per chunk", "against full", "against window", "context MB",
        "of the window's", "process MB",
    )  # fmt: skip
    body = [
        [
            row["name"], f"{row['seconds']:.1f}", _tables.ratio(row["against_full"]),
            _tables.ratio(row["against_window"]), _tables.megabytes(row["context_bytes"]),
            f"{row['bytes_of_window']:.0%}", _tables.megabytes(row["process_bytes"]),
        ]
        for row in found["rows"]
    ]  # fmt: skip
    note = (
        f"Random weights, bfloat16, {found['layers']} of 30 layers, {found['tokens_per_frame']} tokens a latent frame, "
        f"3 frames a chunk, {found['steps']} step(s), commit '{found['commit']}' and compaction included; contexts in "
        f"turn, {found['rounds']} round(s). 5 of 12 heads static."
    )
    return f"{_tables.markdown(head, body)}\n\n{note}"
