"""The fold codec: exact, stateless, and clear about what it cannot fold."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unreel.engine.errors import UserError
from unreel.modalities.video.codec import FoldCodec


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 4), st.integers(1, 5), st.integers(0, 2**31))
def test_uint8_survives_the_round_trip(fold: int, frames: int, rows: int, columns: int, seed: int) -> None:
    codec = FoldCodec(fold)
    shape = (frames, rows * fold, columns * fold, 3)
    frames_THWC = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    latents = codec.encode(frames_THWC)
    assert tuple(latents.shape) == codec.latent_shape(*shape[:3])
    assert latents.dtype == torch.float32
    assert latents.abs().max() <= 1
    decoded, state = codec.decode(latents, codec.new_state())
    assert state == {}
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, frames_THWC)


def test_a_cell_holds_its_own_block_of_pixels() -> None:
    frames_THWC = np.zeros((1, 8, 8, 3), np.uint8)
    frames_THWC[0, 4:8, 0:4] = 255
    latents = FoldCodec(4).encode(frames_THWC)
    assert torch.equal(latents[0, :, 1, 0], torch.ones(48))
    assert latents.sum() == 48 - 3 * 48


def test_chunked_decode_equals_full_decode() -> None:
    codec, latents = FoldCodec(2), torch.randn(6, 12, 3, 5)
    whole, _ = codec.decode(latents, codec.new_state())
    state, parts = codec.new_state(), []
    for chunk in latents.split(2):
        frames, state = codec.decode(chunk, state)
        parts.append(frames)
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_values_outside_the_range_are_clipped() -> None:
    frames, _ = FoldCodec(1).decode(torch.tensor([-3.0, 0.0, 3.0]).reshape(1, 3, 1, 1), {})
    assert frames.tolist() == [[[[0, 128, 255]]]]


@pytest.mark.parametrize("shape", [(1, 9, 8, 3), (1, 8, 9, 3), (8, 8, 3), (1, 8, 8, 4)])
def test_what_cannot_be_folded_is_a_clear_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=r"multiples of 4|expected uint8 frames"):
        FoldCodec(4).encode(np.zeros(shape, np.uint8))


def test_fold_must_be_positive() -> None:
    with pytest.raises(UserError, match="fold must be 1 or more, got 0"):
        FoldCodec(0)
