"""A tiny world model with random weights: 16x32 frames, 2x4 cells of 4 channels, 2 frames a chunk, 7 actions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import unreel.catalogue  # noqa: F401  registers the parts
from unreel.engine.card import Card
from unreel.engine.model import Model, build
from unreel.modalities.world.doom.game import KEYS

CODEC = {"channels": 4, "fine": 8, "middle": 8, "coarse": 8}
NET = {"channels": 4, "rows": 2, "columns": 4, "actions": len(KEYS), "base": 8, "width": 32, "depth": 2, "heads": 2}


def tiny_card(**changes: Any) -> dict[str, Any]:
    return {
        "name": "tiny-world",
        "modality": "world",
        "licence": "Apache-2.0",
        "architecture": {"class": "world", **NET},
        "codec": {"class": "world", "sizes": CODEC},
        "media": {"fps": 10, "height": 16, "width": 32},
        "plan": {"class": "time", "frames": 2},
        "schedule": {"steps": 2, "commit": "extra"},
        "context": {"class": "window", "sink": 0, "recent": 3},
        "conditions": {"action": {"keys": list(KEYS)}},
        **changes,
    }


def tiny_world(**changes: Any) -> Model:
    """``changes`` replace fields of the card."""
    return build(Card.model_validate(tiny_card(**changes)), Path(), None, "cpu", "float32", seed=3)
