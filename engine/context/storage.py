"""How the context keeps keys and values: as computed, in bfloat16, or as int8 with one scale per channel.

Nothing here keeps a second copy: what is packed is opened layer by layer inside a call and let go again. Only with
``plain`` does the context keep rotated keys as well, from one commit to the next.
Letters as in ``types.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from unreel.engine.errors import UserError

KINDS = ("plain", "unrotated", "bfloat16", "int8")


@dataclass(frozen=True)
class Storage:
    """``plain`` and ``unrotated`` keep what the backbone computed, bit for bit; the others are lossy and smaller.

    ``unrotated`` holds a third less than ``plain``, for keys that are rotated in every call.

    int8 is symmetric, with one scale per head and channel over the tokens of a chunk (per-channel keys as in KIVI,
    Liu et al. 2024, section 3; values likewise): a channel's range hardly changes from token to token.
    """

    kind: str = "plain"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UserError(f"storage must be one of {', '.join(KINDS)}, got {self.kind!r}")

    @property
    def lean(self) -> bool:
        """Whether rotated copies would undo what is saved."""
        return self.kind != "plain"

    def pack(self, x_NHD: Tensor) -> tuple[Tensor, Tensor | None]:
        """What is kept of keys or values, and the scales (1, H, D) to open it with."""
        if self.kind == "bfloat16":
            return x_NHD.to(torch.bfloat16), None
        return _int8(x_NHD) if self.kind == "int8" else (x_NHD, None)


def _int8(x_NHD: Tensor) -> tuple[Tensor, Tensor]:
    x = x_NHD.float()
    scale = (x.abs().amax(0, keepdim=True) / 127).to(torch.float16)
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    return (x / scale).round_().clamp_(-127, 127).to(torch.int8), scale


def unpack(data_NHD: Tensor, scale_1HD: Tensor | None, dtype: torch.dtype | None = None) -> Tensor:
    """Keys or values as they are computed with; the same tensor where nothing was packed."""
    if scale_1HD is None:
        return data_NHD if dtype in (None, data_NHD.dtype) else data_NHD.to(dtype)
    return (data_NHD * scale_1HD).to(dtype or torch.float32)
