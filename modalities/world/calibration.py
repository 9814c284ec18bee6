"""What the spread of futures does not tell: the error that is left, by output and frame ahead, measured on known play.

A forecaster that is wrong in all its futures alike is sure of it, and the more so the further ahead. What the mean
absolute error exceeds the spread by, on average at each frame ahead, is added to the spread: recalibration by one
number a frame, in the sense of Kuleshov et al. 2018, "Accurate uncertainties for deep learning using calibrated
regression".

Letters: S samples, T frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unreel.modalities.world.forecast import Forecast


def residuals(futures: Sequence[Forecast], truths: Sequence[Mapping[str, NDArray[Any]]]) -> dict[str, list[float]]:
    """For each output that is a number, what is missing on average (T,), never less than nearer frames have.

    ``truths[n][name]`` (T, ...) is what came after the observations of ``futures[n]``; spreads are taken without the
    futures' own ``residuals``.
    """
    found: dict[str, list[float]] = {}
    for name in futures[0].outputs:
        if name != "segmentation" and name in truths[0]:
            missing = np.mean([_missing(one, name, truth[name]) for one, truth in zip(futures, truths, strict=True)], 0)
            found[name] = [round(float(value), 3) for value in np.maximum.accumulate(np.maximum(missing, 0.0))]
    return found


def _missing(future: Forecast, name: str, truth: NDArray[Any]) -> NDArray[np.float64]:
    """Absolute error of the samples' mean, less their spread, by frame (T,)."""
    error = np.abs(future[name].mean(0, dtype=np.float64) - truth).reshape(len(truth), -1).mean(1)
    return np.asarray(error - future.spread(name).reshape(len(truth), -1).mean(1))
