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


# ---- the parts around the transformer ----------------------------------------------------------------------


def vae(**changes: Any) -> Any:
    return shaken(diffusers.AutoencoderKLWan(**{"base_dim": 4, "num_res_blocks": 1, **changes}))


def original_vae_names(model: Any) -> dict[str, Tensor]:
    """A VAE's weights under the names of ``Wan2.1_VAE.pth`` (found by trying diffusers' table on every name)."""
    from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers

    theirs = model.state_dict()
    found: dict[str, Tensor] = {}
    for name in _original_vae_candidates():
        (new,) = convert_wan_vae_to_diffusers({name: torch.zeros(1)})
        if new in theirs:
            found[name] = theirs[new]
    assert len(found) == len(theirs)
    return found


def _original_vae_candidates() -> list[str]:
    names = [f"conv{i}.{p}" for i in (1, 2) for p in ("weight", "bias")]
    for side, stack in (("encoder", "downsamples"), ("decoder", "upsamples")):
        names += [f"{side}.conv1.{p}" for p in ("weight", "bias")]
        names += [f"{side}.head.{p}" for p in ("0.gamma", "2.weight", "2.bias")]
        blocks = [f"{side}.middle.{i}" for i in range(3)] + [f"{side}.{stack}.{i}" for i in range(16)]
        parts = ["residual.0.gamma", "residual.3.gamma", "norm.gamma"]
        parts += [
            f"{m}.{p}"
            for m in ("residual.2", "residual.6", "shortcut", "to_qkv", "proj", "resample.1", "time_conv")
            for p in ("weight", "bias")
        ]
        names += [f"{block}.{part}" for block in blocks for part in parts]
    return names


WORDS = ["<pad>", "</s>", "<unk>", "a", "red", "blue", "fox", "runs", "sleeps"]


def text_encoder(folder: Any, width: int = 24) -> Any:
    """A tiny UMT5 encoder and a tokenizer that knows nine words, in ``folder``."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

    sizes = {"d_model": width, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2}
    config = UMT5Config(vocab_size=len(WORDS), relative_attention_num_buckets=8, **sizes)
    encoder = shaken(UMT5EncoderModel(config))
    encoder.save_pretrained(folder / "text_encoder")
    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    fast = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
    fast.save_pretrained(folder / "tokenizer")
    return encoder


def original_t5_names(encoder: Any) -> dict[str, Tensor]:
    """A UMT5 encoder's weights under the names of ``models_t5_umt5-xxl-enc-bf16.pth``."""
    table = {
        "layer.0.layer_norm": "norm1",
        "layer.1.layer_norm": "norm2",
        "layer.0.SelfAttention.relative_attention_bias": "pos_embedding.embedding",
        "layer.0.SelfAttention": "attn",
        "layer.1.DenseReluDense.wi_0": "ffn.gate.0",
        "layer.1.DenseReluDense.wi_1": "ffn.fc1",
        "layer.1.DenseReluDense.wo": "ffn.fc2",
        "encoder.final_layer_norm": "norm",
        "encoder.block": "blocks",
        "shared": "token_embedding",
    }
    found = {}
    for name, tensor in encoder.state_dict().items():
        if name != "encoder.embed_tokens.weight":
            for new, old in table.items():
                name = name.replace(new, old)
            found[name] = tensor
    return found


# ---- the published layouts ---------------------------------------------------------------------------------

LAYOUTS = ("self-forcing", "causvid", "longlive", "krea", "wan", "skyreels", "diffusers", "diffusers-skyreels")
FAMILY = {
    "wan": "self-forcing", "skyreels": "skyreels-v2-df", "diffusers": "causvid", "diffusers-skyreels": "skyreels-v2-df",
}  # fmt: skip


def base_folder(folder: Any) -> None:
    """What of Wan2.1-T2V-1.3B every fine-tune needs, in the original formats."""
    folder.mkdir(parents=True)
    torch.save(original_vae_names(vae(num_res_blocks=2)), folder / "Wan2.1_VAE.pth")
    encoder = text_encoder(folder)
    torch.save(original_t5_names(encoder), folder / "models_t5_umt5-xxl-enc-bf16.pth")
    (folder / "google").mkdir()
    (folder / "tokenizer").rename(folder / "google" / "umt5-xxl")
    for file in (folder / "text_encoder").iterdir():
        file.unlink()
    (folder / "text_encoder").rmdir()


def sidecar(folder: Any, **more: Any) -> None:
    """What a tiny model cannot tell by itself, in unreel.yaml."""
    import yaml

    card = {"media": {"height": 32, "width": 48}, "conditions": {"prompt": {"tokens": 12}}, **more.pop("card", {})}
    (folder / "unreel.yaml").write_text(yaml.safe_dump({"heads": 2, "card": card, **more}), encoding="utf-8")


def write_layout(folder: Any, name: str) -> Any:
    """A tiny model as it would be published; returns the path to give to unreel."""
    from safetensors.torch import save_file

    folder.mkdir()
    sky = "skyreels" in name
    model = skyreels() if sky else wan()
    few = {"card": {"schedule": {"steps": 4, "offset": 2}}} if sky else {}
    if name.startswith("diffusers"):
        model.save_pretrained(folder / "transformer")
        vae().save_pretrained(folder / "vae")
        text_encoder(folder)
        sidecar(folder, **(few or {"preset": "causvid"}))
        return folder
    base_folder(folder / "Wan2.1-T2V-1.3B")
    tensors = keys_of_skyreels(model) if sky else original_names(model)
    named = {f"model.{n}": t for n, t in tensors.items()}
    if name == "self-forcing":
        (folder / "checkpoints").mkdir()
        raw = {n: torch.zeros_like(t) for n, t in named.items()}
        torch.save({"generator": raw, "generator_ema": named}, folder / "checkpoints" / "self_forcing_dmd.pt")
    elif name == "causvid":
        (folder / "autoregressive_checkpoint").mkdir()
        torch.save({"generator": named}, folder / "autoregressive_checkpoint" / "model.pt")
    elif name == "longlive":
        (folder / "models").mkdir()
        sharded = {f"model._fsdp_wrapped_module.{n}": t for n, t in tensors.items()}
        torch.save({"generator": sharded}, folder / "models" / "longlive_base.pt")
        lora = {f"base_model.model.model.blocks.0.self_attn.q.lora_{p}.weight": torch.ones(*s) * 0.05 for p, s in LOW}
        torch.save({"generator_lora": lora}, folder / "models" / "lora.pt")
    elif name == "krea":
        save_file({n: t.clone() for n, t in named.items()}, folder / "krea-realtime-video-14b.safetensors")
    else:
        save_file({n: t.clone() for n, t in tensors.items()}, folder / "diffusion_pytorch_model.safetensors")
        (folder / "config.json").write_text('{"num_heads": 2}', encoding="utf-8")
    sidecar(folder, **(few or ({"preset": "self-forcing"} if name == "wan" else {})))
    return folder


LOW = (("A", (4, 32)), ("B", (32, 4)))


def keys_of_skyreels(model: Any) -> dict[str, Tensor]:
    """The original names of a SkyReels model: those of Wan and the frame rate's."""
    from unreel.modalities.video.wan import keys

    return keys.read(model.state_dict()).tensors
