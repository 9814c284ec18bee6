"""What the spread of futures does not tell: the error that is left, by output and frame ahead, measured on known play.

A forecaster that is wrong in all its futures alike is sure of it, and the more so the further ahead. The variance that
is missing on average at each frame ahead is what the law of total variance leaves to the model's own faults; added to
the spread, it makes predicted and real error equal on average there: recalibration by one number a frame, in the sense
of Kuleshov et al. 2018, "Accurate uncertainties for deep learning using calibrated regression".

Letters: S samples, T frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unreel.modalities.world.forecast import Forecast


def residuals(futures: Sequence[Forecast], truths: Sequence[Mapping[str, NDArray[Any]]]) -> dict[str, list[float]]:
    """For each output that is a number, root mean squares (T,) of what is missing, never less than nearer frames have.

    ``truths[n][name]`` (T, ...) is what came after the observations of ``futures[n]``, which has two samples or more.
    """
    found: dict[str, list[float]] = {}
    for name in futures[0].outputs:
        if name != "segmentation" and name in truths[0]:
            missing = np.mean([_missing(one[name], truth[name]) for one, truth in zip(futures, truths, strict=True)], 0)
            rising = np.maximum.accumulate(np.sqrt(np.maximum(missing, 0.0)))
            found[name] = [round(float(value), 3) for value in rising]
    return found


def _missing(samples: NDArray[Any], truth: NDArray[Any]) -> NDArray[np.float64]:
    """Squared error of the samples' mean, less what their own spread explains of it, by frame (T,)."""
    count = len(samples)
    values = samples.astype(np.float64)
    explained = values.var(0) * (count + 1) / (count - 1)  # of a mean of ``count`` samples, and of what came itself
    return ((values.mean(0) - truth) ** 2 - explained).reshape(len(truth), -1).mean(1)
