"""Small calls of the backbone run on one thread, large ones on all of torch's."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from unreel.engine import threads
from unreel.engine.generate import advance
from unreel.engine.model import Model


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_few_tokens_get_one_thread_and_many_get_all() -> None:
    with threads.fitting(threads.FEW - 1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    with threads.fitting(threads.FEW):
        assert torch.get_num_threads() == 2


def test_threads_are_given_back_after_an_error() -> None:
    with pytest.raises(ValueError, match="broken"), threads.fitting(1):
        raise ValueError("broken")
    assert torch.get_num_threads() == 2


def test_a_session_alone_runs_on_one_thread_and_many_together_on_all(fake: Model) -> None:
    seen: list[int] = []

    def look(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.append(torch.get_num_threads())

    hook = fake.backbone.register_forward_pre_hook(look)
    rows = threads.FEW // len(fake.coords((2, 12, 4, 4))) + 1
    sessions = [fake.session(seed=k) for k in range(rows)]
    advance(sessions[:1])
    advance(sessions[1:])
    hook.remove()
    assert (seen[0], seen[-1]) == (1, 2)
    assert torch.get_num_threads() == 2
