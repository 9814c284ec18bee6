from __future__ import annotations

import pytest
import torch
from torch import Tensor

pytest.importorskip("diffusers", reason="needs the extra [wan]: diffusers")

from tiny_wan import original_names, skyreels, wan

from unreel.engine.errors import UserError
from unreel.modalities.video.wan import keys


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    return original_names(wan())


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[n], b[n]) for n in a)


def prefixed(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def test_our_names_for_diffusers_tensors_agree_with_diffusers_own_table(published: dict[str, Tensor]) -> None:
    assert same(keys.read(wan().state_dict()).tensors, published)


@pytest.mark.parametrize(
    ("wrapper", "prefix", "told"),
    [
        ("", "", "original names"),
        ("", "model.", "original names, prefix 'model.'"),
        ("generator_ema", "model.", "original names under 'generator_ema', prefix 'model.'"),
        ("generator", "model._fsdp_wrapped_module.", "original names under 'generator'"),
        ("state_dict", "model.diffusion_model.", "original names under 'state_dict'"),
        ("model", "_orig_mod.", "original names under 'model'"),
    ],
)
def test_every_published_wrapper_and_prefix(published: dict[str, Tensor], wrapper: str, prefix: str, told: str) -> None:
    content = prefixed(published, prefix)
    found = keys.read({wrapper: content} if wrapper else content)
    assert same(found.tensors, published)
    assert found.layout.startswith(told)
    assert found.strange == ()


def test_fsdp_prefixes_inside_a_name_are_taken_out(published: dict[str, Tensor]) -> None:
    content = {"model." + n.replace("blocks.1.", "blocks.1._fsdp_wrapped_module."): t for n, t in published.items()}
    assert same(keys.read({"generator_ema": content}).tensors, published)


def test_the_average_is_preferred_to_the_raw_weights(published: dict[str, Tensor]) -> None:
    raw = {n: torch.zeros_like(t) for n, t in published.items()}
    found = keys.read({"generator": prefixed(raw, "model."), "generator_ema": prefixed(published, "model.")})
    assert same(found.tensors, published)


def test_sizes_come_from_the_tensors(published: dict[str, Tensor]) -> None:
    found = keys.sizes(published, heads=2)
    assert found == {
        "width": 32, "depth": 2, "heads": 2, "ffn": 48, "channels": 16, "text_width": 24, "time_width": 32,
    }  # fmt: skip
    assert keys.sizes(keys.read(skyreels().state_dict()).tensors, heads=2)["fps"] == 24
    with pytest.raises(UserError, match="--heads"):
        keys.sizes(published)


def test_what_is_no_wan_transformer_is_refused(published: dict[str, Tensor]) -> None:
    with pytest.raises(UserError, match="not a Wan transformer"):
        keys.read({"conv.weight": torch.zeros(1)})
    with pytest.raises(UserError, match="no tensors"):
        keys.read({"epoch": 3})
    assert keys.read({**published, "step_embedding": torch.zeros(1)}).strange == ("step_embedding",)
    with pytest.raises(UserError, match="CLIP image features"):
        keys.sizes({**published, "img_emb.proj.0.weight": torch.zeros(1)})
