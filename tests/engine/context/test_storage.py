"""Storage: what is kept of keys and values, and what comes back."""

from __future__ import annotations

import pytest
import torch

from unreel.engine.context.storage import Storage, unpack
from unreel.engine.errors import UserError

X = torch.randn(50, 2, 8, generator=torch.Generator().manual_seed(1)) * torch.logspace(-2, 2, 8)


@pytest.mark.parametrize("kind", ["plain", "unrotated"])
def test_plain_keeps_the_tensor_itself(kind: str) -> None:
    data, scale = Storage(kind).pack(X)
    assert data is X
    assert unpack(data, scale) is X


def test_bfloat16_halves_float32() -> None:
    data, scale = Storage("bfloat16").pack(X)
    assert data.dtype == torch.bfloat16
    assert scale is None
    assert torch.allclose(unpack(data, scale, torch.float32), X, rtol=1e-2)


def test_int8_errs_by_little_more_than_half_a_step_of_each_channel() -> None:
    data, scale = Storage("int8").pack(X)
    assert data.dtype == torch.int8
    assert scale is not None
    error = (unpack(data, scale) - X).abs().amax(0)
    assert bool((error <= X.abs().amax(0) / 127 * 0.62 + 1e-6).all())
    assert unpack(data, scale, torch.bfloat16).dtype == torch.bfloat16


def test_a_silent_channel_stays_silent() -> None:
    data, scale = Storage("int8").pack(torch.zeros(3, 1, 4))
    assert torch.equal(unpack(data, scale), torch.zeros(3, 1, 4))


def test_unknown_storage_is_refused() -> None:
    with pytest.raises(UserError, match="plain, unrotated, bfloat16, int8"):
        Storage("int3")
