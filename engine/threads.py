"""How many of torch's threads a backbone call gets.

A small call is over before a second thread is awake, and the core is of more use to the decoder and the encoder.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

FEW = 96  # tokens


@contextmanager
def fitting(tokens: int) -> Iterator[None]:
    """One thread within, if the call has few ``tokens``; otherwise as many as torch is set to."""
    threads = torch.get_num_threads()
    if tokens >= FEW or threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
