"""From a checkpoint to a model folder: weights (float16) and the model card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unreel.engine.shipping import write_card, write_weights
from unreel.modalities.rig.rig.trainer import read_checkpoint


def export(checkpoint: Path, folder: Path, card_path: Path | None = None, commit: str = "") -> None:
    """Write the averaged weights of ``checkpoint`` as ``folder/rig.safetensors``, and the model card.

    The card goes to ``card_path`` (default ``folder/model.yaml``); one that is there already keeps all but what the
    checkpoint decides: architecture and the training record. ``commit`` is the code's, for the record.

    Raises:
        UserError: there is no checkpoint.
    """
    content = read_checkpoint(checkpoint)
    write_weights(folder / "rig.safetensors", content["average"])
    write_card(card_path or folder / "model.yaml", card(content, commit), ("architecture", "training"))


def card(content: Mapping[str, Any], commit: str = "") -> dict[str, Any]:
    """The model card of a checkpoint."""
    net, run = content["net"], content["config"]
    return {
        "name": "rig",
        "modality": "rig",
        "description": "A mesh in, a skeleton and a skin out: joint by joint, without a template.",
        "licence": "Apache-2.0",
        "architecture": {"class": "rig", **net},
        "codec": {"class": "joints"},
        "media": {"fps": 24.0, "height": 384, "width": 384},
        "plan": {"class": "joints", "joints": net["joints"], "points": run["points"]},
        "schedule": {"steps": 10, "commit": "inline"},
        "sampler": {"class": "joints"},
        "context": {"class": "full"},
        "weights": "rig.safetensors",
        "training": _record(content, commit),
    }


def _record(content: Mapping[str, Any], commit: str) -> dict[str, Any]:
    run = content["config"]
    return {
        "data": f"{len(content['trained_on'])} rigged characters, posed, stretched, mirrored and turned; none of the "
        "held-out ones, which are split off by character",
        "data_licence": "CC0 (Quaternius, as in github.com/trebeljahr/quaternius-showcase; "
        "github.com/Mesh2Motion/mesh2motion-app; KayKit Adventurers)",
        "trained_on": list(content["trained_on"]),
        "held_out": list(content["held_out"]),
        "steps": content["step"],
        "minutes": round(content["seconds"] / 60, 1),
        "meshes_per_step": run["batch"],
        "loss": "flow matching of positions; cross entropy of parents, of the end and of skin weights",
        "seed": run["seed"],
        "commit": commit,
        "command": "unreel train rig --data FOLDER",
        **{name: run[name] for name in ("rate", "ema", "draws", "off", "link", "end", "skin")},
    }
