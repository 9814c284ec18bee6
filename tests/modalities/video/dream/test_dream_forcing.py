"""Training rows: the twin view equals a plain causal pass, weights look at the past only."""

from __future__ import annotations

from pathlib import Path

import torch

from unreel.engine.context.view import SequenceView
from unreel.engine.rope import Rope
from unreel.modalities.video.dream import forcing
from unreel.modalities.video.dream.peers import Peers


def test_noisy_rows_see_the_context_rows_before_them_and_themselves() -> None:
    rope, coords = Rope((2, 2, 2)), torch.randint(3, (4, 3))
    twin = forcing.TwinView(2, 3, coords, rope, 2)
    q, k, v = (torch.randn(2 * 2 + 2 * 3, 4, 1, 6) for _ in range(3))
    out = twin.attend(0, q, k, v)
    for sequence in range(2):
        for chunk in range(3):
            rows = [sequence * 2 + c for c in range(chunk)] + [4 + sequence * 3 + chunk]
            plain = SequenceView(1, chunk + 1, coords, rope, 2).attend(0, q[rows], k[rows], v[rows])
            assert torch.allclose(out[rows[-1]], plain[-1], atol=1e-5)


def test_context_rows_form_a_causal_sequence_of_their_own() -> None:
    rope, coords = Rope((2, 2, 2)), torch.randint(3, (4, 3))
    twin = forcing.TwinView(1, 4, coords, rope, 2)
    q, k, v = (torch.randn(7, 4, 1, 6) for _ in range(3))
    plain = SequenceView(1, 3, coords, rope, 2).attend(0, q[:3], k[:3], v[:3])
    assert torch.allclose(twin.attend(0, q, k, v)[:3], plain, atol=1e-5)


def test_times_lie_in_range_with_clean_context_and_pure_noise_among_them() -> None:
    generator = torch.Generator().manual_seed(0)
    context, noisy = (f(200, 6, generator) for f in (forcing.context_times, forcing.noisy_times))
    for times in (context, noisy):
        assert 0 <= times.min()
        assert times.max() <= 1
    assert (context == 1).float().mean() > 0.4
    assert 0.3 < (noisy == 0).float().mean() < 0.5


def test_mix_is_clean_at_one_and_noise_at_zero() -> None:
    clean, noise = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    times = torch.tensor([[0.0, 1.0, 0.5]]).expand(2, 3)
    mixed = forcing.mix(clean, noise, times)
    assert torch.equal(mixed[:, 0], noise[:, 0])
    assert torch.equal(mixed[:, 1], clean[:, 1])


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
