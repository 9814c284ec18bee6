"""Training of dream: times in range, weights that look at the past only."""

from __future__ import annotations

from pathlib import Path

import torch

from unreel.engine.twin import context_times
from unreel.modalities.video.dream import forcing
from unreel.modalities.video.dream.peers import Peers


def test_times_lie_in_range_with_clean_context_and_pure_noise_among_them() -> None:
    generator = torch.Generator().manual_seed(0)
    context, noisy = (f(200, 6, generator) for f in (context_times, forcing.noisy_times))
    for times in (context, noisy):
        assert 0 <= times.min()
        assert times.max() <= 1
    assert (context == 1).float().mean() > 0.4
    assert 0.3 < (noisy == 0).float().mean() < 0.5


def test_pixel_weights_know_nothing_of_their_own_chunk() -> None:
    moving, player, fish = torch.zeros(3, 1, 6, 1, 32, 32)
    moving[0, 4:, :, 16, 16] = player[0, 4:, :, 16, 16] = fish[0, 4:, :, 16, 16] = 1.0  # appears in the third chunk
    weights = forcing.pixel_weights(moving, player, fish, 10.0, 40.0, 4.0)
    assert weights.shape == (1, 6, 1, 32, 32)
    assert weights[:, 4:, :, 16, 16].max() == 1
    assert weights[:, 4:, :, 16, 0].min() == 5  # the edge, where fish come in
    moving[0, 3, :, 16, 16] = 1.0  # seen in the chunk before
    assert forcing.pixel_weights(moving, player, fish, 10.0, 40.0, 4.0)[0, 4, 0, 16, 16] == 10
    player[0, 3, :, 16, 16] = 1.0
    assert forcing.pixel_weights(moving, player, fish, 10.0, 40.0, 4.0)[0, 4, 0, 16, 16] == 40


def test_a_fish_at_the_edge_counts_more() -> None:
    moving, player, fish = torch.zeros(3, 1, 4, 1, 32, 32)
    fish[0, 2, 0, 5, 0] = 1.0
    assert forcing.pixel_weights(moving, player, fish, 10.0, 40.0, 4.0)[0, 2, 0, 5, :2].tolist() == [20, 5]


def test_a_player_that_was_at_the_edge_counts_more() -> None:
    moving, player, fish = torch.zeros(3, 1, 4, 1, 32, 32)
    player[0, 1, 0, 5, 0] = moving[0, 1, 0, 5, 0] = 1.0
    weights = forcing.pixel_weights(moving, player, fish, 10.0, 40.0, 4.0)[0, 2, 0]
    assert weights[5, 0] == 160
    assert weights[20, 0] == 5  # nobody was there


def test_fading_pales_sprites_and_leaves_the_backdrop() -> None:
    backdrop = torch.full((3, 16, 16), 0.5)
    frames = backdrop.expand(64, 4, 3, 16, 16).clone()
    frames[..., 4:12, 4:12] = -0.5
    pale = forcing.faded(frames, backdrop, torch.Generator().manual_seed(0))
    assert torch.equal(pale[..., 0, 0], frames[..., 0, 0])
    inside = (pale[:, -1, 0, 8, 8] - 0.5) / -1.0  # what is left of the sprite
    assert 0.25 <= inside.min() < 0.6
    assert inside.max() <= 1
    first, last = (pale[:, t, 0, 8, 8] - 0.5 for t in (0, -1))
    assert (first <= last).all()  # once faded, it stays so
    assert (first < last).any()


def test_borders_count_only_where_the_world_ends() -> None:
    weights = forcing.border_weights((0, 2), 2, 4, 8, margin=3)
    assert weights[0, 8] == 1  # top edge of the world
    assert weights[-1, 8] == 0  # the world goes on below
    assert weights[8, 0] == 0
    assert weights[8, -1] == 1  # right edge of the world


def test_peers_average_by_the_steps_each_has_made(tmp_path: Path) -> None:
    first, second = Peers(tmp_path, 0, 2), Peers(tmp_path, 1, 2)
    a, b = [torch.zeros(3)], [torch.ones(3)]
    assert first.meet(a, 10) == 0
    assert second.meet(b, 30) == 1
    assert torch.allclose(b[0], torch.full((3,), 0.75))
    assert first.meet(a, 20) == 1
    assert second.meet(b, 40) == 1
    assert second.meet(b, 50) == 0
