"""The tiny fake model that drives the whole engine in tests: real code, random weights, 8x8 pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save_file

import unreel.catalogue  # noqa: F401  registers the video codec
from unreel.engine.backbone.dit import PatchDiT
from unreel.engine.model import Model, load_model

KEYS = ["none", "w", "a", "s", "d"]
ARCHITECTURE = {"channels": 12, "patch": 2, "width": 32, "depth": 2, "heads": 2, "actions": len(KEYS)}


def card(**changes: Any) -> dict[str, Any]:
    return {
        "name": "fake",
        "modality": "video",
        "licence": "Apache-2.0",
        "architecture": {"class": "patch-dit", **ARCHITECTURE},
        "codec": {"class": "fold", "fold": 2},
        "media": {"fps": 10, "height": 8, "width": 8},
        "plan": {"class": "time", "frames": 2},
        "schedule": {"steps": 4},
        "context": {"class": "window", "sink": 1, "recent": 3, "horizon": 8},
        "conditions": {"action": {"keys": KEYS}},
        "weights": "fake.safetensors",
        **changes,
    }


def write_folder(folder: Path, **changes: Any) -> Path:
    """A model folder as a user would have it."""
    folder.mkdir(parents=True, exist_ok=True)
    written = card(**changes)
    (folder / "model.yaml").write_text(yaml.safe_dump(written), encoding="utf-8")
    net = PatchDiT(**{k: v for k, v in written["architecture"].items() if k != "class"}, seed=3)
    save_file({k: v.half() for k, v in net.state_dict().items()}, folder / "fake.safetensors")
    return folder


def fake_model(folder: Path, dtype: str = "float32", **changes: Any) -> Model:
    write_folder(folder, **changes)
    return load_model(folder / "model.yaml", folder, device="cpu", dtype=dtype)


def frames(events: Any) -> torch.Tensor:
    """All payload frames of some events, (T, H, W, 3)."""
    return torch.cat([torch.as_tensor(event.payload) for event in events])
