"""From a checkpoint to what is shipped: weights (float16) and the model card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from unreel.engine.shipping import write_card, write_weights
from unreel.modalities.panorama.cubemap import faces_from_erp
from unreel.modalities.panorama.data import Panorama
from unreel.modalities.panorama.memory import impression

FPS = 8.0


def export(
    checkpoint: Path,
    folder: Path,
    card_path: Path | None = None,
    commit: str = "",
    panoramas: Sequence[Panorama] = (),
) -> None:
    """Write the averaged weights of ``checkpoint`` as ``folder/panorama.safetensors``, and the model card.

    The card goes to ``card_path`` (default ``folder/model.yaml``); one that is there already keeps all but what the
    checkpoint decides: architecture and the training record. ``commit`` is the code's, for the record. Impressions of
    ``panoramas`` are remembered.
    """
    content = torch.load(checkpoint, weights_only=True)
    tensors = dict(content["average"])
    if panoramas:
        content["net"]["impressions"] = len(panoramas)
        places = [content["places"].index(p.place) if p.place else len(content["places"]) for p in panoramas]
        tensors["memory.places_M"] = torch.tensor(places, dtype=torch.float16)
        pictures = torch.stack([p.picture_3HW.float() / 127.5 - 1 for p in panoramas])
        tensors["memory.faces_M63ss"] = impression(faces_from_erp(pictures, content["net"]["size"]))
    write_weights(folder / "panorama.safetensors", tensors)
    write_card(card_path or folder / "model.yaml", card(content, commit), ("architecture", "training"))


def card(content: Mapping[str, Any], commit: str = "") -> dict[str, Any]:
    """The model card of a checkpoint."""
    net = content["net"]
    sizes = {"size": net["size"], "pad": net["pad"], "fold": net["fold"]}
    return {
        "name": "panorama",
        "modality": "panorama",
        "description": "A world around a narrow view, a photo or nothing: six cube faces, window after window.",
        "licence": "Apache-2.0",
        "architecture": {"class": "panorama", **net},
        "codec": {"class": "faces", **sizes, "yielding": True},
        "media": {"fps": FPS, "height": 2 * net["size"], "width": 4 * net["size"]},
        "plan": {"class": "cube", "frames": net["frames"], **sizes},
        "schedule": {"steps": 4, "commit": "extra"},
        "sampler": {"class": "euler", "shift": 1.0},
        "context": {"class": "span", "sink": 0, "recent": 2 * net["frames"]},
        "conditions": {"place": {"class": "place", "names": list(content["places"])}},
        "weights": "panorama.safetensors",
        "training": _record(content, commit),
    }


def _record(content: Mapping[str, Any], commit: str) -> dict[str, Any]:
    run = content["config"]
    return {
        "data": f"{len(content['trained_on'])} equirectangular photographs of Poly Haven, 1024x512, turned, recoloured "
        "and peopled with drawn things; none of the held-out ones",
        "data_licence": "CC0 (polyhaven.com; as in github.com/pmndrs/assets and github.com/gkjohnson/3d-demo-data)",
        "trained_on": list(content["trained_on"]),
        "held_out": list(content["held_out"]),
        "steps": content["step"],
        "minutes": round(content["seconds"] / 60, 1),
        "faces_per_step": run["samples"] * run["learn"],
        "loss": "squared error of the clean prediction and of its steps between pixels, weighted by time and motion",
        "seed": run["seed"],
        "commit": commit,
        "command": "unreel train panorama --data FOLDER",
        **{k: run[k] for k in ("rate", "ema", "rollout_from", "rollout_share", "first_share", "blind_share")},
    }
