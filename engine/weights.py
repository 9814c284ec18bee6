"""Reading weights without ever unpickling: safetensors, with clear errors for what is not."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from unreel.engine.errors import UserError

_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file.

    Raises:
        UserError: missing, truncated, or a pickle under another name (which is never unpickled).
    """
    try:
        with path.open("rb") as file:
            head = file.read(4)
    except OSError as error:
        raise UserError(f"cannot read the weights {path}: {error.strerror}") from None
    if head.startswith(_PICKLES):
        raise UserError(f"{path} is a pickle, which can run code when opened: convert it to safetensors first")
    try:
        return load_file(path)
    except (SafetensorError, ValueError) as error:
        line = " ".join(str(error).split())
        raise UserError(f"{path} is not a whole safetensors file (cut off? download it again): {line}") from None


def fill(module: nn.Module, tensors: dict[str, Tensor], source: Path, assign: bool = False) -> None:
    """Load ``tensors`` into ``module``, converting dtypes; names and shapes must match exactly.

    ``assign`` makes them the module's own as they are, without a copy (for modules built on the meta device).

    Raises:
        UserError: tensors missing, left over or of another shape; the message names the first few.
    """
    own = module.state_dict()
    missing = sorted(set(own) - set(tensors))
    unexpected = sorted(set(tensors) - set(own))
    wrong = [n for n in own if n in tensors and own[n].shape != tensors[n].shape]
    if missing or unexpected or wrong:
        parts = [("missing", missing), ("unexpected", unexpected), ("of another shape", wrong)]
        told = "; ".join(
            f"{len(n)} {what} ({', '.join(n[:3])}{', ...' if len(n) > 3 else ''})" for what, n in parts if n
        )
        raise UserError(f"{source} does not fit this architecture: {told}")
    if assign:
        module.load_state_dict(tensors, assign=True)
        return
    with torch.no_grad():
        module.load_state_dict({name: tensor.to(own[name].dtype) for name, tensor in tensors.items()})
