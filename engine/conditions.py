"""Conditions: from what a user sends to what the backbone is told of one chunk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from unreel.engine.actions import parse_actions
from unreel.engine.errors import UserError
from unreel.engine.types import Chunk


class ActionCondition:
    """Keys held, one id per latent frame (T,). A value is a script that repeats; held keys are a script of one.

    The null id, ``len(keys)``, is what a model is told in a branch without actions.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = tuple(keys)
        if not self.keys or len(set(self.keys)) != len(self.keys):
            raise UserError(f"an action condition needs a list of different keys, got {list(keys)}")

    def check(self, value: Any) -> list[list[int]]:
        """``"wd"`` or ``"w-40,none-10"`` to ``[[id, frames], ...]``; a list of ids is one frame each."""
        if isinstance(value, str):
            parsed = parse_actions(value, self.keys)
            return [[self.keys.index(k), n] for k, n in parsed]
        ids = [int(i) for i in value]
        bad = [i for i in ids if not 0 <= i < len(self.keys)]
        if bad or not ids:
            raise UserError(f"action ids lie in 0..{len(self.keys) - 1}, got {bad or 'none'}")
        return [[i, 1] for i in ids]

    def encode(self, value: Any, chunk: Chunk, since: int) -> Tensor:
        script = value if value is not None else [[0, 1]]
        frames = [i for i, n in script for _ in range(n)]
        at = chunk.start - since
        return torch.tensor([frames[(at + t) % len(frames)] for t in range(chunk.frames)])

    def null(self, chunk: Chunk) -> Tensor:
        return torch.full((chunk.frames,), len(self.keys))


class TextCondition:
    """A text embedding of fixed ``width``: given as a tensor or list (width,), or made by ``encoder(text)``."""

    prompts = True  # a switch may be answered by recaching or blending, see engine/prompt.py

    def __init__(self, width: int, encoder: Any = None) -> None:
        self.width, self.encoder = width, encoder

    def check(self, value: Any) -> list[float]:
        if isinstance(value, str):
            if self.encoder is None:
                raise UserError("this model has no text encoder: give the embedding itself, not a string")
            value = self.encoder(value)
        tensor = torch.as_tensor(value, dtype=torch.float32)
        if tensor.shape != (self.width,):
            raise UserError(f"a text embedding has shape ({self.width},), got {tuple(tensor.shape)}")
        numbers: list[float] = tensor.tolist()
        return numbers

    def encode(self, value: Any, chunk: Chunk, since: int) -> Tensor:
        return self.null(chunk) if value is None else torch.tensor(value)

    def null(self, chunk: Chunk) -> Tensor:
        return torch.zeros(self.width)
