"""Tiny random Wan parts in the published formats. Needs diffusers and transformers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

diffusers = pytest.importorskip("diffusers", reason="needs the extra [wan]: diffusers")

SIZES: dict[str, Any] = {
    "num_attention_heads": 2, "attention_head_dim": 16, "in_channels": 16, "out_channels": 16, "text_dim": 24,
    "freq_dim": 32, "ffn_dim": 48, "num_layers": 2,
}  # fmt: skip


def shaken(module: nn.Module, seed: int = 0) -> nn.Module:
    """The same random weights every time, in norms and biases too: zeros and ones there would hide mistakes."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape, generator=generator) * 0.1 + float(bool((p == 1).all())))
    return module.eval().requires_grad_(False)


def wan(**changes: Any) -> Any:
    return shaken(diffusers.WanTransformer3DModel(**{**SIZES, **changes}))


def skyreels(**changes: Any) -> Any:
    return shaken(diffusers.SkyReelsV2Transformer3DModel(**{**SIZES, "inject_sample_info": True, **changes}))


def original_names(model: Any) -> dict[str, Tensor]:
    """The weights of a diffusers Wan model under the names of the original files, by diffusers' own table."""
    from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers

    from unreel.engine.backbone.wan import WanBackbone

    config = model.config
    ours = WanBackbone(
        config.num_attention_heads * config.attention_head_dim,
        config.num_layers,
        config.num_attention_heads,
        config.ffn_dim,
        config.in_channels,
        config.text_dim,
        config.freq_dim,
    )
    names = list(ours.state_dict())
    table = {name: torch.tensor([i]) for i, name in enumerate(names)}
    renamed = convert_wan_transformer_to_diffusers(dict(table))
    theirs = model.state_dict()
    return {names[int(index)]: theirs[name] for name, index in renamed.items()}
