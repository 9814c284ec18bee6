"""Bytes that several holders refer to are counted once."""

import torch

from unreel.engine.context.sharing import Held, held


def test_shared_tensors_count_once() -> None:
    both, mine, yours = torch.zeros(4), torch.zeros(2), torch.zeros(3, dtype=torch.int8)
    found = held([[both, mine], [both, yours, both]])
    assert found == Held(shared=16, own=11, apart=43)
    assert found.total == 27
