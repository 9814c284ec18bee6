"""Training rows: the twin view equals a plain causal pass."""

from __future__ import annotations

import torch

from unreel.engine.context.view import SequenceView
from unreel.engine.rope import Rope
from unreel.engine.twin import TwinView, mix


def test_noisy_rows_see_the_context_rows_before_them_and_themselves() -> None:
    rope, coords = Rope((2, 2, 2)), torch.randint(3, (4, 3))
    twin = TwinView(2, 3, coords, rope, 2)
    q, k, v = (torch.randn(2 * 2 + 2 * 3, 4, 1, 6) for _ in range(3))
    out = twin.attend(0, q, k, v)
    for sequence in range(2):
        for chunk in range(3):
            rows = [sequence * 2 + c for c in range(chunk)] + [4 + sequence * 3 + chunk]
            plain = SequenceView(1, chunk + 1, coords, rope, 2).attend(0, q[rows], k[rows], v[rows])
            assert torch.allclose(out[rows[-1]], plain[-1], atol=1e-5)


def test_context_rows_form_a_causal_sequence_of_their_own() -> None:
    rope, coords = Rope((2, 2, 2)), torch.randint(3, (4, 3))
    twin = TwinView(1, 4, coords, rope, 2)
    q, k, v = (torch.randn(7, 4, 1, 6) for _ in range(3))
    plain = SequenceView(1, 3, coords, rope, 2).attend(0, q[:3], k[:3], v[:3])
    assert torch.allclose(twin.attend(0, q, k, v)[:3], plain, atol=1e-5)


def test_mix_is_clean_at_one_and_noise_at_zero() -> None:
    clean, noise = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    times = torch.tensor([[0.0, 1.0, 0.5]]).expand(2, 3)
    mixed = mix(clean, noise, times)
    assert torch.equal(mixed[:, 0], noise[:, 0])
    assert torch.equal(mixed[:, 1], clean[:, 1])
