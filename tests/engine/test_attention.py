"""The attention kernels and how one is chosen."""

import pytest
import torch

from unreel.engine.attention import resolve, sdpa
from unreel.engine.errors import UserError


def test_sdpa_is_softmax_attention() -> None:
    q, k, v = torch.randn(3, 2, 8), torch.randn(5, 2, 8), torch.randn(5, 2, 8)
    weights = (torch.einsum("lhd,nhd->hln", q, k) / 8**0.5).softmax(-1)
    assert torch.allclose(sdpa(q, k, v), torch.einsum("hln,nhd->lhd", weights, v), atol=1e-6)


def test_auto_is_sdpa_on_a_cpu() -> None:
    assert resolve("auto", "cpu") is sdpa


@pytest.mark.parametrize("name", ["flash", "xformers"])
def test_what_cannot_run_is_refused(name: str) -> None:
    with pytest.raises(UserError):
        resolve(name, "cpu")
