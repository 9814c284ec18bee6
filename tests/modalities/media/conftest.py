"""A short film of known colours, and ffprobe."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

COLOURS = [
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (255, 255, 255),
    (0, 0, 0),
    (128, 128, 128),
    (200, 150, 30),
    (255, 0, 255),
]


@pytest.fixture
def bars() -> np.ndarray:
    """One frame (64, 64, 3): eight fields of 32x16 pixels, four in a row, coloured as in COLOURS."""
    frame = np.zeros((64, 64, 3), np.uint8)
    for i, colour in enumerate(COLOURS):
        frame[i // 4 * 32 : i // 4 * 32 + 32, i % 4 * 16 : i % 4 * 16 + 16] = colour
    return frame


@pytest.fixture
def film(bars: np.ndarray) -> np.ndarray:
    """Twelve frames (12, 64, 64, 3), each darker than the one before by 10 levels."""
    return np.stack([np.maximum(bars.astype(int) - 10 * i, 0).astype(np.uint8) for i in range(12)])


@pytest.fixture
def ffprobe() -> Callable[[Path], dict[str, Any]]:
    """What ffprobe says of a file's first stream. Skips without ffprobe, but not in CI."""
    if shutil.which("ffprobe") is None:
        assert not os.environ.get("CI"), "ffprobe is missing in CI: `make system` installs it"
        pytest.skip("ffprobe is not installed; `make system` installs it")

    def probe(path: Path) -> dict[str, Any]:
        command = ["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-of", "json", str(path)]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        assert result.stderr == "", result.stderr
        stream: dict[str, Any] = json.loads(result.stdout)["streams"][0]
        return stream

    return probe
