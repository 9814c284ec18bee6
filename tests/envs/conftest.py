"""Everything here needs gymnasium, which the extra [gym] brings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("gymnasium", reason="environments need gymnasium: pip install 'unreel[gym]'")

from unreel.engine.model import Model
from unreel.envs.worlds import Dreaming


@pytest.fixture
def seeded(make_fake: Callable[..., Model]) -> Callable[..., Model]:
    """Builds the fake model with three seed clips of six frames; keyword arguments change its card."""

    def build(**changes: Any) -> Model:
        model = make_fake(**changes)
        clips = np.random.default_rng(0).integers(0, 256, (3, 6, *model.frame_size, 3), dtype=np.uint8)
        model.seeds = {"frames": torch.from_numpy(clips), "actions": torch.ones(3, 6, dtype=torch.int64)}
        return model

    return build


@pytest.fixture
def dreaming(seeded: Callable[..., Model]) -> Dreaming:
    return Dreaming(seeded(), steps=2)
