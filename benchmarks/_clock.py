"""The clock of the benchmarks: wall time, or on one thread the processor's own time.

With several threads only wall time means anything, and the machine must be quiet. On one thread (OMP_NUM_THREADS=1) CPU
seconds leave out whatever else runs on the machine, so ratios stay good on a busy one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def name() -> str:
    return "CPU seconds of one thread" if torch.get_num_threads() == 1 else "wall time"


@contextmanager
def measuring() -> Iterator[None]:
    """Inside, ``time.perf_counter`` is the clock, for the engine's own statistics as well."""
    wall = time.perf_counter
    if torch.get_num_threads() == 1:
        time.perf_counter = time.process_time
    try:
        yield
    finally:
        time.perf_counter = wall
