"""Low-rank additions (LoRA, Hu et al. 2021): W + scale * B A, merged into the weights before anything runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from unreel.engine.errors import UserError
from unreel.modalities.video.wan import keys

_PART = re.compile(r"\.(?:lora_(A|B)(?:\.default)?|lora_(down|up))\.weight$")


def merge(tensors: dict[str, Tensor], content: Mapping[str, Any], strength: float = 1.0) -> dict[str, Tensor]:
    """``tensors`` (original names) with the LoRA of a file added; peft's, diffusers' and kohya's names are known.

    The scale is ``alpha / rank`` where the file holds alpha, else 1 (LongLive: rank 256, alpha 256).

    Raises:
        UserError: no LoRA in it, or one for another network.
    """
    pairs = _pairs(content)
    merged = dict(tensors)
    for name, (down, up, alpha) in pairs.items():
        weight = merged.get(f"{name}.weight")
        if weight is None or weight.shape != (up.shape[0], down.shape[1]):
            raise UserError(f"this LoRA does not fit: it changes {name} ({up.shape[0]}x{down.shape[1]})")
        scale = strength * (1.0 if alpha is None else alpha / down.shape[0])
        with torch.no_grad():
            merged[f"{name}.weight"] = (weight.float() + scale * (up.float() @ down.float())).to(weight.dtype)
    return merged


def _pairs(content: Mapping[str, Any]) -> dict[str, tuple[Tensor, Tensor, float | None]]:
    tensors, _ = keys.unwrap(content, (*keys.LORA_WRAPPERS, *keys.WRAPPERS))
    found: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        part = _PART.search(name)
        stem = name[: part.start()] if part else name.removesuffix(".alpha")
        where = keys.original(stem + ".weight")
        if where is None or not (part or name.endswith(".alpha")):
            continue
        kind = {"A": "down", "B": "up"}.get(part[1], part[1]) or part[2] if part else "alpha"
        found.setdefault(where.removesuffix(".weight"), {})[kind] = tensor
    whole = {name: p for name, p in found.items() if "down" in p and "up" in p}
    if not whole:
        raise UserError("no LoRA in it: expected pairs of lora_A and lora_B, or of lora_down and lora_up")
    return {n: (p["down"], p["up"], float(p["alpha"]) if "alpha" in p else None) for n, p in whole.items()}
