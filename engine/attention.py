"""The one place where an attention kernel is chosen: torch SDPA everywhere, xformers on CUDA when installed."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import torch
import torch.nn.functional as F
from torch import Tensor

from unreel.engine.errors import UserError

Attention = Callable[[Tensor, Tensor, Tensor], Tensor]  # q (.., L, H, D), k and v (.., N, H, D) -> (.., L, H, D)

BACKENDS = ("auto", "sdpa", "xformers")


def sdpa(q_LHD: Tensor, k_NHD: Tensor, v_NHD: Tensor) -> Tensor:
    """Softmax attention of every query over all keys, through torch; all three may have a batch axis in front."""
    if q_LHD.ndim == 3:
        return sdpa(q_LHD[None], k_NHD[None], v_NHD[None])[0]
    q, k, v = (x.transpose(1, 2) for x in (q_LHD, k_NHD, v_NHD))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2)


def _xformers() -> Attention:
    from xformers.ops import memory_efficient_attention  # type: ignore[import-not-found,unused-ignore]

    def attend(q_LHD: Tensor, k_NHD: Tensor, v_NHD: Tensor) -> Tensor:
        if q_LHD.ndim == 3:
            return attend(q_LHD[None], k_NHD[None], v_NHD[None])[0]
        return torch.as_tensor(memory_efficient_attention(q_LHD, k_NHD, v_NHD))

    return attend


def resolve(name: str = "auto", device: str = "cpu") -> Attention:
    """The kernel for ``attention: auto | sdpa | xformers``. xformers is untested here for want of a GPU.

    Raises:
        UserError: unknown name, or xformers asked for where it cannot run.
    """
    if name not in BACKENDS:
        raise UserError(f"attention must be one of {', '.join(BACKENDS)}, got {name!r}")
    on_cuda = device.startswith("cuda")
    found = find_spec("xformers") is not None
    if name == "xformers" and not (on_cuda and found):
        raise UserError(
            f"attention 'xformers' needs a CUDA device and `pip install unreel[cuda]`; "
            f"device is {device}, xformers {'is' if found else 'is not'} installed: use 'auto' or 'sdpa'"
        )
    return _xformers() if on_cuda and found and name != "sdpa" else sdpa
