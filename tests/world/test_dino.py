"""DINOv2 behind the codec interface: shapes, and the same numbers as transformers gives, with random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from world.tiny import NET, tiny_world

from unreel.engine.errors import UserError
from unreel.modalities.world.dino import MEAN, STD, DinoCodec

transformers = pytest.importorskip("transformers")
FRAMES = np.random.default_rng(0).integers(0, 256, (4, 28, 56, 3), np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    config = transformers.Dinov2Config(
        hidden_size=32, num_hidden_layers=3, num_attention_heads=2, image_size=70, patch_size=14, mlp_ratio=2
    )
    folder = tmp_path_factory.mktemp("dino")
    transformers.Dinov2Model(config).save_pretrained(folder)
    return folder


def test_features_are_those_of_transformers(folder: Path) -> None:
    codec = DinoCodec(str(folder), [1, 3])
    latents = codec.encode(FRAMES)
    assert tuple(latents.shape) == codec.latent_shape(4, 28, 56) == (4, 64, 2, 4)
    net = transformers.Dinov2Model.from_pretrained(folder).eval()
    pixels = (FRAMES / 255 - np.asarray(MEAN)) / np.asarray(STD)
    with torch.no_grad():
        out = net(torch.from_numpy(pixels).float().permute(0, 3, 1, 2), output_hidden_states=True)
    last = out.last_hidden_state[:, 1:].reshape(4, 2, 4, 32).permute(0, 3, 1, 2)
    assert torch.allclose(latents[:, 32:], last, atol=1e-5)
    first = net.layernorm(out.hidden_states[1])[:, 1:].reshape(4, 2, 4, 32).permute(0, 3, 1, 2)
    assert torch.allclose(latents[:, :32], first, atol=1e-5)
    assert np.array_equal(codec.read("features", latents), latents.numpy())


def test_a_world_forecasts_such_features(folder: Path) -> None:
    model = tiny_world(
        codec={"class": "dino", "folder": str(folder)}, media={"fps": 10, "height": 28, "width": 56},
        architecture={"class": "world", **NET, "channels": 32},
    )  # fmt: skip
    session = model.session(seed=1, start=FRAMES, start_actions=[1, 1, 1, 1], actions="w")
    film = [event.payload for event in session.stream(chunks=2)]
    assert [frames.shape for frames in film] == [(2, 28, 56, 3)] * 2


def test_bad_input_is_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="multiples of 14"):
        DinoCodec(str(folder)).encode(FRAMES[:, :27])
    with pytest.raises(UserError, match="layers 1 to 3, got"):
        DinoCodec(str(folder), [0])
    with pytest.raises(UserError, match="no config.json"):
        DinoCodec(str(tmp_path))
    with pytest.raises(UserError, match="reads features; got 'rgb'"):
        DinoCodec(str(folder)).read("rgb", torch.zeros(1, 32, 2, 4))
