"""The world's codec: every output has its shape, chunks decode as a whole does, files come back, bad input is told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from world.tiny import CODEC, tiny_world

from unreel.engine.errors import UserError
from unreel.modalities.world.codec import WorldCodec, save_codec


def frames(count: int = 6) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 16, 32, 3), np.uint8)


def test_outputs_have_the_axes_that_are_named() -> None:
    codec = tiny_world().codec
    latents = codec.encode(frames())
    assert tuple(latents.shape) == codec.latent_shape(6, 16, 32) == (6, 4, 2, 4)
    kinds = {"rgb": np.uint8, "segmentation": np.uint8, "depth": np.float32}
    for name in codec.outputs:
        read = codec.read(name, latents)
        sizes = dict(zip(codec.axes[name], read.shape[1:], strict=True))
        assert sizes == {"height": 16, "width": 32, **({"colour": 3} if name == "rgb" else {})}
        assert len(read) == 6
        assert read.dtype == kinds[name]
    assert codec.read("segmentation", latents).max() < len(codec.classes)
    assert (codec.read("depth", latents) > 0).all()


def test_chunked_decode_equals_full_decode() -> None:
    codec = tiny_world().codec
    latents = torch.randn(6, 4, 2, 4)
    whole = codec.decode(latents, codec.new_state())[0].astype(int)
    parts = np.concatenate([codec.decode(part, {})[0] for part in latents.split(2)])
    assert np.abs(whole - parts).max() <= 1  # sums are taken in another order
    assert whole.std() > 0


def test_encoding_takes_the_mean_and_the_deviation_of_the_data_away() -> None:
    codec = WorldCodec(sizes=CODEC)
    before = codec.encode(frames())
    codec.net.mean.fill_(2.0)
    codec.net.std.fill_(4.0)
    after = codec.encode(frames())
    assert torch.allclose(after, (before - 2) / 4, atol=1e-5)
    assert torch.allclose(codec.net.raw(after), before, atol=1e-5)


@pytest.mark.parametrize("half", [False, True])
def test_a_codec_is_what_was_saved(tmp_path: Path, half: bool) -> None:
    codec = WorldCodec(sizes=CODEC)
    save_codec(codec.net, tmp_path / "c.safetensors", half=half)
    again = WorldCodec(str(tmp_path / "c.safetensors"))
    assert torch.allclose(again.encode(frames()), codec.encode(frames()), atol=5e-3 if half else 0)


def test_bad_input_is_told(tmp_path: Path) -> None:
    codec = WorldCodec(sizes=CODEC)
    with pytest.raises(UserError, match="multiples of 8"):
        codec.encode(frames()[:, :15])
    with pytest.raises(UserError, match="expected uint8 frames"):
        codec.encode(frames().astype(np.float32))
    with pytest.raises(UserError, match="reads rgb, segmentation, depth; got 'normals'"):
        codec.read("normals", torch.zeros(1, 4, 2, 4))
    with pytest.raises(UserError, match="expected latents"):
        codec.read("rgb", torch.zeros(1, 5, 2, 4))
    with pytest.raises(UserError, match="there is no world codec"):
        WorldCodec(str(tmp_path / "none.safetensors"))
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors", metadata={"world-codec": json.dumps(CODEC)})
    with pytest.raises(UserError, match="is no world codec"):
        WorldCodec(str(tmp_path / "other.safetensors"))
