"""Random streams depend on seed, chunk and draw alone."""

import torch

from unreel.engine.rng import mixed_seed, normal


def test_same_path_same_noise_and_other_paths_other_noise() -> None:
    assert torch.equal(normal((4,), 1, 2, 3), normal((4,), 1, 2, 3))
    paths = {tuple(normal((4,), *path).tolist()) for path in [(1, 2, 3), (1, 3, 2), (2, 1, 3), (12, 3)]}
    assert len(paths) == 4


def test_global_random_state_is_neither_used_nor_moved() -> None:
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    normal((4,), 1)
    assert torch.equal(before, torch.random.get_rng_state())


def test_seeds_fit_a_generator() -> None:
    assert all(0 <= mixed_seed(s) < 2**63 for s in (0, -5, 10**30))
