from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from unreel.engine.errors import UserError
from unreel.modalities.video.wan.files import find, read_weights, shards


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".safetensors":
            save_file({path.stem: torch.zeros(1)}, path)
        else:
            path.write_text("{}", encoding="utf-8")
    return folder


def test_the_original_folder(tmp_path: Path) -> None:
    base = ("Wan2.1_VAE.pth", "models_t5_umt5-xxl-enc-bf16.pth", "google/umt5-xxl/tokenizer.json", "config.json")
    touch(tmp_path, "diffusion_pytorch_model.safetensors", *base)
    parts = find(tmp_path)
    assert parts.transformer.name == "diffusion_pytorch_model.safetensors"
    assert parts.vae == tmp_path / "Wan2.1_VAE.pth"
    assert parts.text_encoder == tmp_path / "models_t5_umt5-xxl-enc-bf16.pth"
    assert parts.tokenizer == tmp_path / "google/umt5-xxl"
    assert parts.lora is None


def test_a_fine_tune_finds_its_base_beside_it_above_it_or_where_it_is_told(tmp_path: Path) -> None:
    touch(tmp_path, "tune/checkpoints/self_forcing_dmd.pt", "tune/lora.pt", "Wan2.1-T2V-1.3B/Wan2.1_VAE.pth")
    parts = find(tmp_path / "tune")
    assert parts.vae == tmp_path / "Wan2.1-T2V-1.3B" / "Wan2.1_VAE.pth"
    assert parts.transformer.name == "self_forcing_dmd.pt"
    assert parts.lora == tmp_path / "tune/lora.pt"
    touch(tmp_path, "elsewhere/vae/config.json")
    assert find(tmp_path / "tune/checkpoints/self_forcing_dmd.pt", tmp_path / "elsewhere").vae is not None
    with pytest.raises(UserError, match="does not exist"):
        find(tmp_path / "tune", tmp_path / "nowhere")


def test_a_tiny_vae_is_found(tmp_path: Path) -> None:
    touch(tmp_path, "model.safetensors", "taew2_1.safetensors")
    assert find(tmp_path).tiny_vae == tmp_path / "taew2_1.safetensors"


def test_shards_by_index_and_by_name(tmp_path: Path) -> None:
    touch(tmp_path, "m-00001-of-00002.safetensors", "m-00002-of-00002.safetensors")
    assert len(read_weights(tmp_path)) == 2
    index = {"weight_map": {"a": "m-00001-of-00002.safetensors", "b": "m-00003-of-00003.safetensors"}}
    (tmp_path / "m.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(UserError, match="not there: m-00003"):
        shards(tmp_path)


def test_several_models_in_a_folder_are_not_guessed_between(tmp_path: Path) -> None:
    touch(tmp_path, "a.pt", "b.pt")
    with pytest.raises(UserError, match=r"several models \(a\.pt, b\.pt\)"):
        find(tmp_path)
    assert find(tmp_path / "a.pt").transformer.name == "a.pt"
    touch(tmp_path, "c.safetensors")
    assert find(tmp_path).transformer.name == "c.safetensors"


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no weights"):
        find(tmp_path)
