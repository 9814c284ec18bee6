"""Words as numbers without a table to ship: hashed pieces of words.

Each word, its pieces of three to five letters and each pair of words that follow each other is hashed to one of
``width`` places and a sign (feature hashing, Weinberger et al. 2009; pieces as in fastText, Bojanowski et al. 2017).
Words the model never met share pieces with those it did ("walking", "walk"); what they mean is learned by the network's
first layer. Larger encoders take this one's place as another condition of the card.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import partial

import torch

from unreel.engine.conditions import TextCondition
from unreel.engine.errors import UserError

SMALL = frozenset("a an and as at by for he her his in is it of on or she person the their then they to".split())


def pieces(text: str) -> list[tuple[str, float]]:
    """What is hashed of a text, with its weight."""
    words = [word for word in re.findall(r"[a-z0-9]+", text.lower().replace("'", "")) if word not in SMALL]
    found = []
    for word in words:
        marked = f"<{word}>"
        parts = [marked[at : at + n] for n in (3, 4, 5) for at in range(len(marked) - n + 1) if n < len(marked)]
        found += [(part, 1.5 / max(len(parts), 1) ** 0.5) for part in parts] + [(marked, 1.0)]
    return found + [(f"{a} {b}", 0.5) for a, b in zip(words, words[1:], strict=False)]


def hashed(text: str, width: int) -> torch.Tensor:
    """A vector (width,) of length 1 for a text; zeros for one without words."""
    vector = torch.zeros(width)
    for piece, weight in pieces(text):
        number = int.from_bytes(hashlib.blake2b(piece.encode(), digest_size=8).digest(), "little")
        vector[(number >> 1) % width] += weight if number & 1 else -weight
    whole: torch.Tensor = vector / vector.norm().clamp_min(1e-9)
    return whole


class WordsCondition(TextCondition):
    """Text, hashed to ``width`` numbers; ``examples`` are texts the model was trained on, for whoever asks."""

    def __init__(self, width: int = 256, examples: Sequence[str] = ()) -> None:
        super().__init__(width, partial(hashed, width=width))
        self.examples = tuple(examples)

    def check(self, value: object) -> list[float]:
        """The numbers of a text (or an embedding as it is).

        Raises:
            UserError: neither, or a text without a word in it.
        """
        if isinstance(value, str) and not pieces(value):
            some = f", as in {self.examples[0]!r}" if self.examples else ""
            raise UserError(f"text tells what to do in English words{some}; got {value!r}")
        return super().check(value)
