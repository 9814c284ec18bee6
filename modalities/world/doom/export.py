"""From checkpoints to what is shipped: codec and network in float16, clips to start from, and the model's card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from unreel.engine.errors import UserError
from unreel.engine.shipping import write_card, write_weights
from unreel.modalities.world.codec import load_codec, save_codec
from unreel.modalities.world.doom.codec_trainer import CODEC
from unreel.modalities.world.doom.data import Played, starts_of
from unreel.modalities.world.doom.game import FPS, HEIGHT, KEYS, THING, WIDTH

DECIDED = ("architecture", "training")  # what the card of a model takes from its checkpoint
CHECKPOINTS = {"doom": "flow.pt", "doom-regression": "regression.pt"}
TOLD = {
    "doom": "Rooms seen by a player of Doom (ViZDoom, Freedoom): features forecast by flow matching, read as colours, "
    "classes and depth.",
    "doom-regression": "The same network as doom, trained as long on the same data to predict the mean of what comes.",
}


def export(
    run: Path, name: str, folder: Path, held_out: Played, card_path: Path | None = None, commit: str = ""
) -> None:
    """Write ``NAME.safetensors``, ``doom-codec.safetensors``, ``doom_seeds.safetensors`` and the card of a run.

    ``name`` is ``doom`` or ``doom-regression``. The card goes to ``card_path`` (default ``folder/model.yaml``); one
    that is there keeps all but what the checkpoints decide. ``commit`` is the code's, for the record.

    Raises:
        UserError: the run has no such checkpoint.
    """
    path = run / CHECKPOINTS[name]
    if not path.is_file():
        raise UserError(f"there is no checkpoint {path}: train first, as in `unreel train doom`")
    content = torch.load(path, weights_only=True)
    write_weights(folder / f"{name}.safetensors", content["average"])
    save_codec(load_codec(run / CODEC), folder / "doom-codec.safetensors", half=True)
    export_seeds(held_out, folder / "doom_seeds.safetensors")
    write_card(card_path or folder / "model.yaml", card(name, content, _codec(run, content), commit), DECIDED)


def _codec(run: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """How long the codec was trained: in this run, or before the weights that the run began with were shipped."""
    if not (run / "codec.pt").exists():
        return dict(content["began"]["codec"])
    codec = torch.load(run / "codec.pt", weights_only=True)
    return {"steps": codec["step"], "minutes": round(codec["seconds"] / 60, 1)}


def card(name: str, content: Mapping[str, Any], codec: Mapping[str, Any], commit: str = "") -> dict[str, Any]:
    """The model card of a network's checkpoint; ``codec`` is the record of the codec's training."""
    blind, began = content["net"]["blind"], content["began"]
    before = {"began_with": {key: began[key] for key in ("steps", "minutes", "commit")}} if began else {}
    return {
        "name": name,
        "modality": "world",
        "description": TOLD[name],
        "licence": "Apache-2.0",
        "architecture": {"class": "world", **content["net"]},
        "codec": {"class": "world", "weights": "./doom-codec.safetensors"},
        "media": {"fps": round(FPS, 3), "height": HEIGHT, "width": WIDTH},
        "plan": {"class": "time", "frames": content["net"]["frames"]},
        "schedule": {"steps": 1 if blind else 6, "commit": "extra"},
        "sampler": {"class": "euler"},
        "context": {"class": "window", "sink": 0, "recent": content["lesson"]["chunks"] - 1},
        "conditions": {"action": {"keys": list(KEYS)}},
        "weights": f"{name}.safetensors",
        "seeds": "doom_seeds.safetensors",
        "training": {
            "data": "ViZDoom my_way_home, furnished, field of view 110 degrees; episode seeds below 10000",
            "data_licence": "MIT (ViZDoom), BSD-3-Clause (Freedoom)",
            "codec": dict(codec),
            "steps": content["step"] + began.get("steps", 0),
            "minutes": round(content["seconds"] / 60 + began.get("minutes", 0.0), 1),
            **before,
            "chunks_per_step": content["lesson"]["sequences"] * content["lesson"]["chunks"],
            "loss": "squared error of the next chunk" if blind else "flow matching, preconditioned to unit variance",
            **{key: value for key, value in content["lesson"].items() if key not in ("sequences", "chunks")},
            "seed": content["seed"],
            "commit": commit,
            "command": "unreel train doom --warm" if began else "unreel train doom",
        },
    }


def export_seeds(held_out: Played, path: Path, clips: int = 12, length: int = 16) -> None:
    """Write short clips of held-out episodes, one an episode, that end with a view of things, to start from."""
    starts = starts_of(held_out.seed, length)
    things = (held_out.segmentation[starts + length - 1] == THING).mean((1, 2))
    best: dict[int, int] = {}
    for at in np.argsort(-things, kind="stable"):
        best.setdefault(int(held_out.seed[starts[at]]), int(starts[at]))
    chosen = [np.arange(start, start + length) for start in sorted(list(best.values())[:clips])]
    save_file(
        {
            "frames": torch.from_numpy(held_out.frames[np.stack(chosen)]),
            "actions": torch.from_numpy(held_out.action[np.stack(chosen)].astype(np.int64)),
        },
        path,
    )
    path.chmod(0o644)
