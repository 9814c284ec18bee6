"""A network in a file of its own: safetensors, with its sizes beside the tensors. For codecs, which cards point at."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from unreel.engine.errors import UserError

Net = TypeVar("Net", bound=nn.Module)


def save_net(net: nn.Module, path: Path, kind: str, *, half: bool = False) -> None:
    """Write a network and its ``config`` (a dataclass); numbers that are not whole in float16 if ``half``.

    ``kind`` is what the file is, as in "motion codec".
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
    if half:
        tensors = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    config: Any = net.config
    save_file(tensors, path, metadata={_key(kind): json.dumps(asdict(config))})
    path.chmod(0o644)


def load_net(path: Path, kind: str, make: Callable[[Mapping[str, Any]], Net]) -> Net:
    """The network that `save_net` wrote; ``make`` builds one of such sizes.

    Raises:
        UserError: the file is not there, or is none of this kind.
    """
    try:
        with safe_open(path, framework="pt") as file:
            net = make(json.loads((file.metadata() or {})[_key(kind)]))
            net.load_state_dict({name: file.get_tensor(name) for name in file.keys()})
    except FileNotFoundError:
        raise UserError(f"there is no {kind} {path}: it lies beside the model's card") from None
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise UserError(f"{path} is no {kind}: {' '.join(str(error).split())[:200]}") from None
    return net


def _key(kind: str) -> str:
    return kind.replace(" ", "-")
