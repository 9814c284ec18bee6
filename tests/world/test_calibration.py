"""What error the spread of futures leaves untold, and what an uncertainty makes of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from unreel.modalities.world.calibration import residuals
from unreel.modalities.world.forecast import Forecast


def forecast(depth_STHW: np.ndarray, **changes: Any) -> Forecast:
    """A forecast whose depth is what it is given."""
    codec = SimpleNamespace(outputs=("rgb", "segmentation", "depth"), axes={"depth": ("height", "width")})
    samples, frames = depth_STHW.shape[:2]
    made = Forecast(torch.zeros(samples, frames, 1, 1, 1), frames, codec, None, (), 0, (), **changes)
    made._read["depth"] = depth_STHW.astype(np.float32)
    return made


def test_futures_that_spread_as_much_as_they_err_leave_nothing() -> None:
    rng = np.random.default_rng(0)
    futures = [forecast(rng.normal(size=(6, 3, 40, 40))) for _ in range(4)]
    truths = [{"depth": rng.normal(size=(3, 40, 40))} for _ in futures]
    assert residuals(futures, truths)["depth"] == pytest.approx([0, 0, 0], abs=0.2)


def test_what_is_wrong_in_all_futures_alike_is_left_and_never_falls() -> None:
    rng = np.random.default_rng(0)
    off = np.array([1.0, 3.0, 2.0])[:, None, None]
    futures = [forecast(rng.normal(size=(6, 3, 40, 40))) for _ in range(4)]
    truths = [{"depth": rng.normal(size=(3, 40, 40)) + off} for _ in futures]
    assert residuals(futures, truths)["depth"] == pytest.approx([0.34, 2.14, 2.14], abs=0.05)
    assert list(residuals(futures, truths)) == ["depth"]


def test_an_uncertainty_is_spread_and_residual_together() -> None:
    values = np.stack([np.full((3, 2, 2), value) for value in (-3.0, 3.0)])
    assert np.allclose(forecast(values).uncertainty("depth"), 3.0)
    told = forecast(values, residuals={"depth": [0.0, 4.0]}).uncertainty("depth")
    assert np.allclose(told[:, 0, 0], [3.0, 7.0, 7.0])
