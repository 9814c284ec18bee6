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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests come last, and one that hangs ends the run with every thread's stack.

    An exception would not do: Playwright's event loop swallows it, or waits for ever for the page to close.
    """
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.timeout(180, method="thread"))
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


@pytest.fixture
def make_fake(tmp_path: Path) -> Callable[..., Model]:
    """Builds the fake model; keyword arguments change its card."""
    return lambda **changes: fake_model(tmp_path / "fake", **changes)


@pytest.fixture
def fake(make_fake: Callable[..., Any]) -> Model:
    return make_fake()
