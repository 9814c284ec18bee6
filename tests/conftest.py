"""Shared fixtures: the tiny fake model, and one thread for torch so that tests do not fight over cores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fake import fake_model

from unreel.engine.model import Model

torch.set_num_threads(1)


@pytest.fixture
def make_fake(tmp_path: Path) -> Callable[..., Model]:
    """Builds the fake model; keyword arguments change its card."""
    return lambda **changes: fake_model(tmp_path / "fake", **changes)


@pytest.fixture
def fake(make_fake: Callable[..., Any]) -> Model:
    return make_fake()
