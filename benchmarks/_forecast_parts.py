"""The parts of `unreel bench forecast` that are about what is forecast: quality, calibration, control."""

from __future__ import annotations

from typing import Any

import numpy as np

from unreel.benchmarks._forecast_clips import AHEAD, CONTEXT, Array, Given
from unreel.benchmarks._forecast_place import reader
from unreel.modalities.world.metrics import METRICS, gradient_energy

HORIZONS = (1, 4, 8, 16, 32)
CONTROL = (8, 16, 32)
BINS = 10


def quality(given: Given) -> dict[str, Any]:
    """At each horizon, of that frame alone: every metric, as the mean over samples and of the best sample."""
    truths = {name for future in given.futures for name in future.outputs if name in given.clips.truth}
    found: dict[str, Any] = {"horizons": HORIZONS, "windows": len(given.futures), "samples": given.samples}
    for metric, (output, measure, rising) in METRICS.items():
        if output in truths:
            found[metric] = {
                row: _at_horizons(given, row, output, measure, rising)
                for row, windows in given.rows.items()
                if output in windows[0]
            }
    found["sharpness"] = {row: _sharpness(given, row) for row in given.rows}
    return found


def _at_horizons(given: Given, row: str, output: str, measure: Any, rising: bool) -> dict[str, list[float]]:
    means, bests = [], []
    for horizon in HORIZONS:
        at = slice(horizon - 1, horizon)
        values = [
            [measure(sample[at], given.truth(n, output)[at]) for sample in window[output]]
            for n, window in enumerate(given.rows[row])
        ]
        means.append(float(np.nanmean(values)))
        bests.append(float(np.nanmean(np.nanmax(values, 1) if rising else np.nanmin(values, 1))))
    return {"mean": means} if len(given.rows[row][0][output]) == 1 else {"mean": means, "best": bests}


def _sharpness(given: Given, row: str) -> list[float]:
    """Gradient energy over that of what really came, at each horizon: 1 is as sharp, haze is below."""
    ratios = []
    for horizon in HORIZONS:
        at = slice(horizon - 1, horizon)
        ours = [np.mean([gradient_energy(one[at]) for one in window["rgb"]]) for window in given.rows[row]]
        real = [gradient_energy(given.truth(n, "rgb")[at]) for n in range(len(ours))]
        ratios.append(float(np.mean(ours) / np.mean(real)))
    return ratios


def calibration(given: Given) -> dict[str, Any]:
    """Error against predicted uncertainty, pixels of all windows in ten bins of equally many (fewer where they tie).

    rgb and depth: error of the samples' mean, against their standard deviation. Segmentation: share of votes that are
    wrong, against the votes' entropy.
    """
    found = {}
    for name in given.futures[0].outputs:
        if name in given.clips.truth:
            spread = np.stack([future.uncertainty(name).ravel() for future in given.futures])
            error = np.stack([_error(name, f[name], given.truth(n, name)) for n, f in enumerate(given.futures)])
            found[name] = _binned(spread, error)
    return found


def _error(name: str, samples: Array, truth: Array) -> Array:
    if name == "segmentation":
        return np.asarray((samples != truth).mean(0).ravel())
    error = np.abs(samples.mean(0, dtype=np.float32) - truth)
    return np.asarray((error.mean(-1) if error.ndim == 4 else error).ravel())


def _binned(spread_WP: Array, error_WP: Array) -> dict[str, Any]:
    """Of pixels of windows: means by bin. ``fall`` is the largest one from a bin to the next that is less sure, and
    ``fall_error`` its standard error over windows (bootstrap), for the pixels of a window err alike."""
    edges = np.unique(np.quantile(spread_WP, np.linspace(0, 1, BINS + 1)))
    at = np.clip(np.searchsorted(edges, spread_WP, side="right") - 1, 0, max(0, len(edges) - 2))
    counts, spreads, errors = (
        np.stack([np.bincount(row, weights, len(edges)) for row, weights in zip(at, values, strict=True)])
        for values in (np.ones_like(spread_WP), spread_WP, error_WP)
    )
    filled = counts.sum(0) > 0
    counts, spreads, errors = counts[:, filled], spreads[:, filled], errors[:, filled]
    means = errors.sum(0) / counts.sum(0)
    picks = np.random.default_rng(0).integers(len(counts), size=(500, len(counts)))
    again = errors[picks].sum(1) / np.maximum(counts[picks].sum(1), 1e-9)
    falls, wobble = -np.diff(means), np.diff(again, axis=1).std(0)
    worst = int(np.argmax(falls / np.maximum(wobble, 1e-9))) if len(falls) else 0
    found = {"uncertainty": (spreads.sum(0) / counts.sum(0)).tolist(), "error": means.tolist()}
    return {
        **found, "pixels": counts.sum(0).astype(int).tolist(), "spearman": spearman(*found.values()),
        "monotone": bool(np.all(falls <= 0)) and len(means) > 1,
        "fall": float(max(0.0, falls[worst])) if len(falls) else None,
        "fall_error": float(wobble[worst]) if len(falls) else None,
    }  # fmt: skip


def spearman(a: list[float], b: list[float]) -> float:
    """Rank correlation of two lists without ties; NaN for fewer than two."""
    if len(a) < 2:
        return float("nan")
    return float(np.corrcoef(np.argsort(np.argsort(a)), np.argsort(np.argsort(b)))[0, 1])


def control(given: Given) -> dict[str, Any]:
    """How far the player is from where the real one went under the same keys, read off the pictures."""
    read = reader(given)
    poses, at = given.clips.pose, [c - 1 for c in CONTROL]
    found: dict[str, Any] = {"frames": CONTROL, "unit": given.clips.unit, "reader": read.about, "position_error": {}}
    rows = {name: row for name, row in given.rows.items() if name in ("forecast", "regression")}
    real = [{"rgb": given.truth(n, "rgb")[None]} for n in range(len(poses))]
    true = poses[:, CONTEXT:, :2][:, at]
    for name, row in {**rows, "real frames": real}.items():
        apart = []
        for n, window in enumerate(row):
            last = given.clips.truth["rgb"][n, CONTEXT - 1 : CONTEXT]
            seen = [read(np.concatenate([last, one]), poses[n, CONTEXT - 1])[at] for one in window["rgb"]]
            apart.append(np.linalg.norm(np.stack(seen) - true[n], axis=-1).mean(0))
        found["position_error"][name] = [float(value) for value in np.nanmean(apart, 0)]
        found.setdefault("seen", {})[name] = [float(share) for share in np.isfinite(apart).mean(0)]
    still = np.linalg.norm(true - poses[:, CONTEXT - 1 : CONTEXT, :2], axis=-1)
    found["position_error"]["copy last"] = [float(value) for value in np.nanmean(still, 0)]
    assert max(CONTROL) <= AHEAD, "within the windows"
    return found
