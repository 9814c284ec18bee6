"""The codec: nothing looks ahead, chunks decode as the whole does, the state is the session's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import one_hot

from tests.motion import CODEC, walk
from unreel.engine.errors import UserError
from unreel.modalities.motion.body import BODY
from unreel.modalities.motion.codec import MotionCodec, load_codec, place_of, save_codec
from unreel.modalities.motion.network import CodecConfig, MotionCodecNet
from unreel.modalities.skeleton.skeleton import Skeleton


@pytest.fixture(scope="module")
def codec() -> MotionCodec:
    return MotionCodec(sizes=CODEC)


def tokens(count: int, seed: int = 0) -> torch.Tensor:
    codes = torch.randint(16, (count, 3), generator=torch.Generator().manual_seed(seed))
    return one_hot(codes, 16).float()


@pytest.mark.parametrize("size", [1, 2, 3])
def test_chunks_decode_as_the_whole_does(codec: MotionCodec, size: int):
    latents = tokens(12)
    whole, end = codec.decode(latents, codec.new_state())
    state, rows = codec.new_state(), []
    for part in latents.split(size):
        before = {name: kept.clone() for name, kept in state.items()}
        poses, after = codec.decode(part, state)
        assert all(torch.equal(before[name], state[name]) for name in before)
        rows.append(poses.rows)
        state = after
    assert np.abs(np.concatenate(rows) - whole.rows).max() < 1e-5
    assert np.allclose(place_of(state), place_of(end), atol=1e-5)


def test_nothing_looks_ahead(codec: MotionCodec):
    """Features of later frames change no earlier token, later tokens no earlier frame."""
    net = codec.net
    numbers = torch.randn(1, 32, net.config.features)
    other = numbers.clone()
    other[:, 16:] += 1
    assert torch.equal(net.encode(numbers)[:, :4], net.encode(other)[:, :4])
    assert not torch.equal(net.encode(numbers)[:, 4], net.encode(other)[:, 4])
    first, second = tokens(8, 1), tokens(8, 1)
    second[4:] = tokens(4, 2)
    a, b = (codec.decode(latents, {})[0].rows for latents in (first, second))
    assert np.array_equal(a[:16], b[:16])


def test_a_motion_becomes_tokens(codec: MotionCodec):
    motion = walk(1.0)
    latents = codec.encode(motion)
    assert latents.shape == (8, 3, 16)  # 31 frames, the last pose held for one more
    assert (latents.sum(-1) == 1).all()
    assert torch.equal(codec.encode(motion.resampled(60.0)).argmax(-1).shape and latents, latents)
    foreign = Skeleton.from_positions(["a", "b"], np.asarray([-1, 0]), np.eye(3)[:2])
    for wrong in (np.zeros((4, 3)), type(motion)(foreign, 30.0, np.zeros((1, 3)), np.zeros((1, 2, 4)) + 0.5)):
        with pytest.raises(UserError, match="on the body's joints"):
            codec.encode(wrong)


def test_the_body_that_was_told_is_the_one_that_moves(codec: MotionCodec):
    long_neck = torch.zeros(len(BODY))
    long_neck[BODY.index("neck")] = 0.5
    (emission,), _ = codec.emit(None, tokens(1), {"body": long_neck}, {})  # type: ignore[arg-type]
    neck = emission.payload.skeleton.translations[BODY.index("neck")]
    assert np.isclose(np.linalg.norm(neck), 0.16 * np.exp(0.5), atol=1e-5)


def test_weights_and_sizes_come_back_from_a_file(tmp_path: Path):
    net = MotionCodecNet(CodecConfig(269, **CODEC))
    net.quantiser.begun.fill_(True)
    save_codec(net, tmp_path / "codec.safetensors")
    read = load_codec(tmp_path / "codec.safetensors")
    assert read.config == net.config
    assert all(torch.equal(a, b) for a, b in zip(read.state_dict().values(), net.state_dict().values(), strict=True))
    save_codec(net, tmp_path / "half.safetensors", half=True)
    assert load_codec(tmp_path / "half.safetensors").outward[0].weight.dtype == torch.float32
    assert (tmp_path / "half.safetensors").stat().st_size < 0.6 * (tmp_path / "codec.safetensors").stat().st_size
    assert MotionCodec(str(tmp_path / "codec.safetensors")).latent_shape(1, 9, 9) == (1, 3, 16)


def test_files_that_are_no_codec_are_told(tmp_path: Path):
    with pytest.raises(UserError, match="there is no motion codec"):
        load_codec(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"no tensors")
    with pytest.raises(UserError, match="is no motion codec"):
        load_codec(tmp_path / "bad.safetensors")
    with pytest.raises(UserError, match="not so: levels"):
        CodecConfig(269, levels=0)
