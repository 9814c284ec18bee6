"""From trained tensors to what is shipped: weights in half precision, and a card that keeps what people set in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from safetensors.torch import save_file
from torch import Tensor


def write_weights(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors in float16 (safetensors)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.half().contiguous() for name, tensor in tensors.items()}, path)
    path.chmod(0o644)


def write_card(path: Path, fresh: Mapping[str, Any], decided: Sequence[str]) -> None:
    """Write a model card; one that is there already keeps all fields but those ``decided`` by the training."""
    content = dict(fresh)
    if path.exists():
        old = yaml.safe_load(path.read_text(encoding="utf-8"))
        content = {**old, **{name: fresh[name] for name in decided}}
    path.write_text(yaml.safe_dump(content, sort_keys=False, width=110), encoding="utf-8")
    path.chmod(0o644)
