"""A tiny motion model with random weights, and a motion made in code: somebody who walks in a circle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors.torch import save_file

import unreel.catalogue  # noqa: F401  registers the parts
from unreel.engine.card import Card
from unreel.engine.model import Model, build
from unreel.modalities.motion.body import BODY
from unreel.modalities.motion.codec import save_codec
from unreel.modalities.skeleton.motion import Motion
from unreel.modalities.skeleton.rotations import from_axis_angle, multiply

SIZES = {"levels": 3, "codes": 16}
CODEC = {**SIZES, "latent": 8, "width": 16, "depth": 1}
NET = {**SIZES, "width": 32, "heads": 2, "trunk": 2, "part": 1, "words": 32}


def tiny_card(**changes: Any) -> dict[str, Any]:
    return {
        "name": "tiny-motion",
        "modality": "motion",
        "licence": "Apache-2.0",
        "architecture": {"class": "motion", **NET},
        "codec": {"class": "motion", "sizes": CODEC},
        "media": {"fps": 30, "height": 48, "width": 64},
        "plan": {"class": "time", "frames": 1},
        "schedule": {"steps": 1, "commit": "inline"},
        "sampler": {"class": "categorical"},
        "guidance": {"scale": 1.0, "drop": ["text"]},
        "context": {"class": "window", "sink": 0, "recent": 8, "horizon": 8},
        "conditions": {
            "text": {"class": "words", "width": NET["words"]},
            "body": {"class": "body"},
            "path": {"class": "path"},
        },
        "prompt_switch": {"class": "blend", "chunks": 3},
        **changes,
    }


def tiny_motion(**changes: Any) -> Model:
    """Three levels of 16 codes, 4 layers; ``changes`` replace fields of the card."""
    return build(Card.model_validate(tiny_card(**changes)), Path(), None, "cpu", "float32", seed=3)


def walk(seconds: float = 2.0, fps: float = 30.0, turn: float = 0.4, speed: float = 1.2) -> Motion:
    """Legs and arms swing, the heading turns by ``turn`` radians a second."""
    at = np.arange(round(seconds * fps) + 1) / fps
    rotations = np.tile(BODY.rotations, (len(at), 1, 1)).astype(np.float64)
    swing = 0.5 * np.sin(2 * np.pi * at)
    for name, sign in (("left_thigh", 1), ("right_thigh", -1), ("left_arm", -0.5), ("right_arm", 0.5)):
        rotations[:, BODY.index(name)] = from_axis_angle(np.asarray([1.0, 0, 0]), sign * swing)
    for name, sign in (("left_shin", 1), ("right_shin", -1)):
        rotations[:, BODY.index(name)] = from_axis_angle(np.asarray([1.0, 0, 0]), np.maximum(0, -sign * swing))
    heading = turn * at
    rotations[:, 0] = multiply(from_axis_angle(np.asarray([0, 1.0, 0]), heading), rotations[:, 0])
    step = speed / fps * np.stack([np.sin(heading), np.zeros(len(at)), np.cos(heading)], -1)
    root = np.cumsum(step, 0) + (0, 0.93, 0) + 0.02 * np.cos(4 * np.pi * at)[:, None] * (0, 1, 0)
    return Motion(BODY, fps, root, rotations, "walk")


def write_tiny_motion(folder: Path, **changes: Any) -> Path:
    """The same model as a folder that can be loaded."""
    folder.mkdir(parents=True, exist_ok=True)
    model = tiny_motion(**changes)
    save_file(model.backbone.state_dict(), folder / "motion.safetensors")  # type: ignore[attr-defined]
    save_codec(model.codec.net, folder / "motion-codec.safetensors")  # type: ignore[attr-defined]
    codec = {"class": "motion", "weights": "./motion-codec.safetensors"}
    card = {**tiny_card(**changes), "codec": codec, "weights": "motion.safetensors"}
    (folder / "model.yaml").write_text(yaml.safe_dump(card), encoding="utf-8")
    return folder
