"""A tiny panorama model with random weights: the whole path of cube faces, 16 pixels each, on a CPU in no time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import unreel.catalogue  # noqa: F401  registers the parts
from unreel.engine.card import Card
from unreel.engine.model import Model, build

SIZES = {"size": 16, "pad": 4, "fold": 2}
NAMES = ["forest", "street"]


def tiny_panorama(**changes: Any) -> Model:
    """Faces of 16 pixels, 2 frames a window, 2 layers; ``changes`` replace fields of the card."""
    small = {"base": 16, "mid": 16, "width": 32, "depth": 2, "heads": 2, "places": len(NAMES)}
    card = {
        "name": "tiny-panorama",
        "modality": "panorama",
        "licence": "Apache-2.0",
        "architecture": {"class": "panorama", "frames": 2, **SIZES, **small},
        "codec": {"class": "faces", **SIZES},
        "media": {"fps": 8, "height": 32, "width": 64},
        "plan": {"class": "cube", "frames": 2, **SIZES},
        "schedule": {"steps": 2},
        "context": {"class": "span", "recent": 4},
        "conditions": {"place": {"names": NAMES}},
        **changes,
    }
    return build(Card.model_validate(card), Path(), None, "cpu", "float32", seed=3)


def clip(frames: int, yaw: float = 0.0, turn: float = 0.0, seed: int = 0) -> dict[str, Any]:
    """A view: noise filmed by a camera that turns ``turn`` degrees a frame."""
    pictures = np.random.default_rng(seed).integers(0, 256, (frames, 12, 16, 3), np.uint8)
    return {"frames": pictures, "cameras": [[0.0, 0.0, yaw + turn * n, 90.0] for n in range(frames)]}
