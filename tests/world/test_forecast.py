"""modalities/world/forecast.py: axes, lazy outputs, uncertainty, the best of many, files."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from world.tiny import tiny_world

from unreel import Forecaster, UserError
from unreel.engine.context.sharing import Held
from unreel.engine.model import Model
from unreel.modalities.world import metrics
from unreel.modalities.world.forecast import Forecast

CLIP = np.random.default_rng(0).integers(0, 255, (8, 8, 8, 3), dtype=np.uint8)


@dataclass
class Reader:
    """Reads latents (T, 1, H, W) as they are, and counts how often."""

    outputs: tuple[str, ...] = ("segmentation", "depth")
    classes: tuple[str, ...] = ("floor", "wall")
    axes: dict[str, tuple[str, ...]] = field(
        default_factory=lambda: dict.fromkeys(("segmentation", "depth"), ("height", "width"))
    )
    reads: int = 0

    def read(self, name: str, latents: Tensor) -> Any:
        self.reads += 1
        values = latents[:, 0].numpy()
        return values.astype(np.uint8) if name == "segmentation" else values + 1


def forecast_of(latents: Tensor, horizon: int = 2) -> Forecast:
    return Forecast(latents, horizon, Reader(), None, (0, 1, 2, 3), 0, (Held(),))


def test_outputs_are_read_once_when_they_are_asked_for() -> None:
    found = forecast_of(torch.zeros(4, 3, 1, 2, 5))
    assert found.codec.reads == 0
    assert found["depth"].shape == (4, 2, 2, 5)
    assert found["depth"] is found["depth"]
    assert found.codec.reads == 4
    assert found.axes("depth") == ("sample", "time", "height", "width")
    with pytest.raises(UserError, match="segmentation, depth"):
        found["rgb"]


def test_uncertainty_is_spread_and_the_entropy_of_votes() -> None:
    found = forecast_of(torch.tensor([0.0, 0.0, 1.0, 1.0])[:, None, None, None, None].expand(4, 2, 1, 1, 1))
    assert found.uncertainty("segmentation").item(0) == pytest.approx(np.log(2))
    assert found.uncertainty("depth").item(0) == pytest.approx(0.5)
    assert forecast_of(torch.ones(4, 2, 1, 1, 1)).uncertainty("segmentation").max() == 0


def test_the_best_sample_is_the_one_closest_to_the_truth() -> None:
    found = forecast_of(torch.tensor([0.0, 1.0, 2.0, 3.0])[:, None, None, None, None].expand(4, 2, 1, 3, 3))
    assert found.best_of(np.full((2, 3, 3), 3.2, np.float32), "d1") == (2, 1.0)
    best, error = found.best_of(np.full((1, 3, 3), 3.3, np.float32), "absrel")
    assert (best, error) == (2, pytest.approx(0.3 / 3.3))
    assert found.best_of(np.ones((2, 3, 3), np.uint8), "miou") == (1, 1.0)
    with pytest.raises(UserError, match="psnr, miou"):
        found.best_of(np.ones((2, 3, 3)), "mse")
    with pytest.raises(UserError, match="the truth of depth"):
        found.best_of(np.ones((3, 3, 3)), "d1")


def test_metrics() -> None:
    truth = np.array([[[0, 0, 1, 1]]])
    assert metrics.miou(np.array([[[0, 1, 1, 1]]]), truth) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert metrics.d1(np.array([[[1.2, 1.3, 0.8, 9.0]]]), np.array([[[1.0, 1.0, 1.0, 0.0]]])) == pytest.approx(1 / 3)
    assert metrics.psnr(np.zeros((2, 4, 4, 3), np.uint8), np.zeros((2, 4, 4, 3), np.uint8)) == pytest.approx(60)
    flat, stripes = np.full((1, 4, 4, 3), 9, np.uint8), np.zeros((1, 4, 4, 3), np.uint8)
    stripes[:, ::2] = 10
    assert (metrics.gradient_energy(flat), metrics.gradient_energy(stripes)) == (0, pytest.approx(100))


def test_everything_is_saved_with_its_axes(fake: Model, tmp_path: Path) -> None:
    found = Forecaster(fake).forecast(CLIP, "w-3", horizon=3, samples=2)
    with np.load(found.save(tmp_path / "out.npz")) as arrays:
        assert arrays["rgb"].shape == (2, 3, 8, 8, 3)
        assert np.array_equal(arrays["rgb"], found["rgb"])
        assert arrays["uncertainty_rgb"].shape == (3, 8, 8)
        assert arrays["actions"].tolist() == [[1, 1, 1]] * 2
        assert json.loads(str(arrays["axes"]))["rgb"] == ["sample", "time", "height", "width", "colour"]
    with pytest.raises(UserError, match=r"saved as \.npz"):
        found.save(tmp_path / "out.npy")
    with pytest.raises(UserError):
        found.save(tmp_path / "nowhere" / "out.npz")


def test_a_world_model_gives_all_its_outputs() -> None:
    model = tiny_world()
    clip = np.random.default_rng(1).integers(0, 255, (6, 16, 32, 3), dtype=np.uint8)
    found = Forecaster(model).forecast(clip, f"{model.actions[-1]}-5", horizon=5, samples=3)
    assert found.outputs == ("rgb", "segmentation", "depth")
    assert found["rgb"].shape == (3, 5, 16, 32, 3)
    assert found["segmentation"].shape == found["depth"].shape == (3, 5, 16, 32)
    assert found["depth"].dtype == np.float32
    assert all(found.uncertainty(name).shape == (5, 16, 32) for name in found.outputs)
