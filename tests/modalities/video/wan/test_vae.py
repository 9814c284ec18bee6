from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

pytest.importorskip("diffusers", reason="needs the extra [wan]: diffusers")

from tiny_wan import original_vae_names, shaken, vae

from unreel.engine.errors import UserError
from unreel.modalities.video.wan.tiny import TinyDecoder, load_tiny
from unreel.modalities.video.wan.vae import WanCodec, load_vae


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vae")
    vae().save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def codec(folder: Path) -> WanCodec:
    return WanCodec(str(folder))


def latents(frames: int, seed: int = 0) -> Tensor:
    return torch.randn(frames, 16, 4, 6, generator=torch.Generator().manual_seed(seed))


def full_decode(model: Any, z_TCHW: Tensor) -> Tensor:
    """diffusers' own decode of the whole film, in bytes (T, H, W, 3)."""
    config = model.config
    mean, deviation = (torch.tensor(x).view(1, 16, 1, 1, 1) for x in (config.latents_mean, config.latents_std))
    z = z_TCHW.transpose(0, 1)[None] * deviation + mean
    with torch.inference_mode():
        pixels = model.decode(z, return_dict=False)[0][0].permute(1, 2, 3, 0)
    return ((pixels + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def test_incremental_decode_equals_full_decode(codec: WanCodec) -> None:
    z, state, frames = latents(9), codec.new_state(), []
    for chunk in z.split(3):
        payload, state = codec.decode(chunk, state)
        frames.append(payload)
    assert [len(f) for f in frames] == [9, 12, 12]
    expected = full_decode(codec.vae, z)
    difference = np.abs(np.concatenate(frames).astype(int) - expected.numpy().astype(int))
    assert difference.max() <= 1
    assert (difference == 0).mean() > 0.999
    assert expected.float().std() > 5  # not a grey film


@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (2, 2), (4,), (1, 3)])
def test_how_latents_are_cut_does_not_matter(codec: WanCodec, sizes: tuple[int, ...]) -> None:
    z, state, frames = latents(4), codec.new_state(), []
    for chunk in z.split(sizes):
        payload, state = codec.decode(chunk, state)
        frames.append(payload)
    whole, _ = codec.decode(z, codec.new_state())
    assert np.array_equal(np.concatenate(frames), whole)
    assert len(whole) == 13


def test_the_state_is_the_callers(codec: WanCodec) -> None:
    """Two streams on one VAE, in turns; a state can be used twice (rewind) and is all tensors (snapshot)."""
    a, b = latents(4, seed=1), latents(4, seed=2)
    alone = [codec.decode(x, {})[0] for x in (a, b)]
    state_a, state_b = codec.new_state(), codec.new_state()
    parts: list[list[Any]] = [[], []]
    for x, y in zip(a.split(2), b.split(2), strict=True):
        frames, state_a = codec.decode(x, state_a)
        parts[0].append(frames)
        frames, state_b = codec.decode(y, state_b)
        parts[1].append(frames)
    assert np.array_equal(np.concatenate(parts[0]), alone[0])
    assert np.array_equal(np.concatenate(parts[1]), alone[1])
    _, state = codec.decode(a[:2], {})
    before = {n: t.clone() for n, t in state.items()}
    again = [codec.decode(a[2:], state)[0] for _ in range(2)]
    assert np.array_equal(*again)
    assert all(isinstance(t, Tensor) and torch.equal(t, before[n]) for n, t in state.items())


def test_encode_equals_diffusers(codec: WanCodec) -> None:
    media = np.random.default_rng(0).integers(0, 256, (9, 32, 48, 3), dtype=np.uint8)
    ours = codec.encode(media)
    x = torch.as_tensor(media).permute(3, 0, 1, 2)[None] / 127.5 - 1
    with torch.inference_mode():
        mean = codec.vae.encode(x).latent_dist.mode()
    config = codec.vae.config
    expected = (mean[0].transpose(0, 1) - torch.tensor(config.latents_mean)[:, None, None]) / torch.tensor(
        config.latents_std
    )[:, None, None]
    assert ours.shape == (3, 16, 4, 6)
    assert torch.allclose(ours, expected, atol=1e-5)
    assert len(codec.encode(media[:7])) == 2  # the last five frames
    assert len(codec.encode(media[:1])) == 1


def test_an_original_file_gives_the_same_vae(tmp_path: Path) -> None:
    model = vae(num_res_blocks=2)
    torch.save(original_vae_names(model), tmp_path / "Wan2.1_VAE.pth")
    loaded = load_vae(tmp_path / "Wan2.1_VAE.pth")
    assert all(torch.equal(t, loaded.state_dict()[n]) for n, t in model.state_dict().items())
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match="no Wan 2.1 VAE"):
        load_vae(tmp_path / "other.pth")


def test_sizes_are_checked(codec: WanCodec) -> None:
    assert codec.latent_shape(3, 480, 832) == (3, 16, 60, 104)
    with pytest.raises(UserError, match="multiples of 16"):
        codec.latent_shape(3, 40, 48)
    with pytest.raises(UserError, match="path"):
        WanCodec()


@pytest.fixture(scope="module")
def tiny_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny") / "taew2_1.pth"
    decoder = shaken(TinyDecoder(16, (8, 8, 4, 4)), seed=4)
    torch.save({**decoder.state_dict(), "encoder.0.weight": torch.zeros(1)}, path)
    return path


def test_the_tiny_decoder_is_incremental_and_has_the_same_frames(tiny_file: Path) -> None:
    codec = WanCodec(tiny=str(tiny_file))
    z, state, frames = latents(6), codec.new_state(), []
    for chunk in z.split(2):
        payload, state = codec.decode(chunk, state)
        frames.append(payload)
    assert [f.shape for f in frames] == [(5, 32, 48, 3), (8, 32, 48, 3), (8, 32, 48, 3)]
    whole, _ = codec.decode(z, codec.new_state())
    assert np.abs(np.concatenate(frames).astype(int) - whole.astype(int)).max() <= 1
    assert whole.std() > 1
    with pytest.raises(UserError, match="whole VAE"):
        codec.encode(frames[0])


def test_a_tiny_decoder_beside_the_vae_decodes_and_the_vae_encodes(folder: Path, tiny_file: Path) -> None:
    codec = WanCodec(str(folder), str(tiny_file))
    frames, _ = codec.decode(latents(1), {})
    assert frames.shape == (1, 32, 48, 3)
    assert codec.encode(frames).shape == (1, 16, 4, 6)


def test_another_file_is_no_tiny_decoder(tmp_path: Path) -> None:
    torch.save({"decoder.1.weight": torch.zeros(1)}, tmp_path / "x.pth")
    with pytest.raises(UserError, match="no TAEHV decoder"):
        load_tiny(tmp_path / "x.pth")
