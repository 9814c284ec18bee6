from __future__ import annotations

import pytest
import torch
from torch import Tensor

from unreel.engine.errors import UserError
from unreel.modalities.video.wan.lora import merge

BASE = {"blocks.0.self_attn.q.weight": torch.zeros(4, 6), "blocks.0.ffn.0.weight": torch.ones(8, 4)}
DOWN, UP = torch.arange(12.0).view(2, 6), torch.arange(8.0).view(4, 2)


PAIRS = {
    "peft": ("lora_A", "lora_B"),
    "adapter": ("lora_A.default", "lora_B.default"),
    "kohya": ("lora_down", "lora_up"),
}


def named(style: str, path: str) -> dict[str, Tensor]:
    down, up = PAIRS[style]
    return {f"{path}.{down}.weight": DOWN, f"{path}.{up}.weight": UP}


@pytest.mark.parametrize(
    ("style", "path"),
    [
        ("peft", "base_model.model.model.blocks.0.self_attn.q"),
        ("adapter", "base_model.model.blocks.0.self_attn.q"),
        ("kohya", "diffusion_model.blocks.0.self_attn.q"),
        ("peft", "transformer.blocks.0.attn1.to_q"),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_every_style_is_merged(style: str, path: str, wrapped: bool) -> None:
    content = named(style, path)
    merged = merge(BASE, {"generator_lora": content} if wrapped else content, strength=0.5)
    assert torch.allclose(merged["blocks.0.self_attn.q.weight"], 0.5 * UP @ DOWN)
    assert merged["blocks.0.ffn.0.weight"] is BASE["blocks.0.ffn.0.weight"]
    assert (BASE["blocks.0.self_attn.q.weight"] == 0).all()


def test_alpha_is_obeyed_and_the_dtype_kept() -> None:
    content = {**named("kohya", "blocks.0.self_attn.q"), "blocks.0.self_attn.q.alpha": torch.tensor(1.0)}
    base = {n: t.bfloat16() for n, t in BASE.items()}
    weight = merge(base, content)["blocks.0.self_attn.q.weight"]
    assert weight.dtype == torch.bfloat16
    assert torch.allclose(weight.float(), (0.5 * UP @ DOWN).bfloat16().float())


def test_a_lora_for_another_network_is_refused() -> None:
    with pytest.raises(UserError, match="does not fit"):
        merge(BASE, named("peft", "blocks.7.self_attn.q"))
    with pytest.raises(UserError, match="does not fit"):
        merge(BASE, named("peft", "blocks.0.ffn.0"))
    with pytest.raises(UserError, match="no LoRA"):
        merge(BASE, BASE)
