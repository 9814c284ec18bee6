"""From checkpoints to what is shipped: codec and network in float16, and the model's card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from unreel.engine.shipping import write_card, write_weights
from unreel.modalities.motion.codec import save_codec
from unreel.modalities.motion.motion.windows import SWITCH
from unreel.modalities.motion.network import CodecConfig, MotionCodecNet

CODEC, DECODER, NET = "codec.pt", "decoder.pt", "net.pt"
EXAMPLES = 40  # texts that the card names


def trained_codec(run: Path) -> MotionCodecNet:
    """The averaged codec of a run, with the decoder that was trained on if there is one."""
    content = torch.load(run / CODEC, weights_only=True)
    net = MotionCodecNet(CodecConfig(**content["sizes"]))
    net.load_state_dict(content["average"])
    if (run / DECODER).exists():
        net.outward.load_state_dict(torch.load(run / DECODER, weights_only=True)["average"])
    return net.eval()


def export(run: Path, folder: Path, record: Mapping[str, Any], card_path: Path | None = None) -> None:
    """Write ``motion.safetensors``, ``motion-codec.safetensors`` and the card of a run's checkpoints.

    The card goes to ``card_path`` (default ``folder/model.yaml``); one that is there keeps all but what the checkpoints
    decide. ``record`` says of the data: ``texts``, ``clips``, ``minutes_of_motion``, ``held_out``.
    """
    content = torch.load(run / NET, weights_only=True)
    write_weights(folder / "motion.safetensors", content["average"])
    save_codec(trained_codec(run), folder / "motion-codec.safetensors", half=True)
    codec = torch.load(run / CODEC, weights_only=True)
    decoder = torch.load(run / DECODER, weights_only=True) if (run / DECODER).exists() else None
    fresh = card(content, codec, record, decoder)
    write_card(card_path or folder / "model.yaml", fresh, ("architecture", "conditions", "training"))


def card(
    net: Mapping[str, Any], codec: Mapping[str, Any], record: Mapping[str, Any], decoder: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The model card of the checkpoints; ``decoder`` is the one that was trained on alone."""
    recent = net["recent"]
    return {
        "name": "motion",
        "modality": "motion",
        "description": "Endless motion of a body by words, along a path, for any rig with the joints of a person.",
        "licence": "Apache-2.0",
        "architecture": {"class": "motion", **net["sizes"]},
        "codec": {"class": "motion", "weights": "./motion-codec.safetensors"},
        "media": {"fps": 30, "height": 384, "width": 384},
        "plan": {"class": "time", "frames": 1},
        "schedule": {"steps": 1, "commit": "inline"},
        "sampler": {"class": "categorical", "temperature": 0.7, "top_p": 0.95},
        "guidance": {"scale": 2.0, "drop": ["text"]},
        "context": {"class": "window", "sink": 0, "recent": recent, "horizon": recent},
        "conditions": {
            "text": {"class": "words", "width": net["sizes"]["words"], "examples": list(record["texts"])[:EXAMPLES]},
            "body": {"class": "body"},
            "path": {"class": "path"},
        },
        "prompt_switch": {"class": "blend", "chunks": SWITCH},
        "weights": "motion.safetensors",
        "training": {
            "data": f"{record['clips']} clips, {record['minutes_of_motion']:.1f} minutes, mirrored and at three speeds",
            "data_licence": "CMU Graphics Lab Motion Capture Database (free for any use, the data not to be resold); "
            "animations of Quaternius, KayKit and Mesh2Motion (CC0)",
            "held_out": list(record["held_out"]),
            "codec": _length(codec),
            **({} if decoder is None else {"decoder": _length(decoder)}),
            "network": _length(net),
            "loss": "codec: smooth L1 of features, steps and joint places, its decoder also of the size of jerks; "
            "network: cross-entropy of every level",
            "seed": 0,
            "command": "unreel train motion --data FOLDER",
        },
    }


def _length(content: Mapping[str, Any]) -> dict[str, Any]:
    return {"steps": content["step"], "minutes": round(content["seconds"] / 60, 1)}
