"""What is known of a canvas: the order of its layers, and how the rest is guessed."""

from __future__ import annotations

import torch

from unreel.modalities.panorama.known import extended, what_is_known


def test_layers_of_what_is_known():
    view, around = torch.zeros(2, 1, 2, 4, 16, 16).unbind()
    view[:, 0, :, :4] = torch.tensor([0.5, 0.5, 0.5, 1.0])[:, None, None]  # frame 0 sees the top
    around[..., 8:, :] = torch.tensor([-0.5, -0.5, -0.5, 0.5])[:, None, None]
    known = what_is_known(view, around)
    assert known.seen_RT3PP[0, 0, 0, 0, 0] == 0.5
    assert known.seen_RT3PP[0, 1, 0, 0, 0] == 0.5
    assert known.seen_RT3PP[0, 0, 0, -1, 0] == -0.5
    assert known.before_RT3PP[0, 0, 0, -1, 0] == -0.5
    assert known.sure_RT1PP[0, 0, 0, :, 0].tolist() == [1.0] * 4 + [0.0] * 4 + [1.0] * 8
    middle = known.seen_RT3PP[0, 0, 0, 4:8, 8]
    assert (middle.diff() < 0).all()
    assert -0.5 < middle.min()
    assert middle.max() < 0.5


def test_what_was_imagined_meets_the_view_and_what_was_known_stays():
    view, around = torch.zeros(2, 1, 2, 4, 48, 48).unbind()
    view[..., :24, :] = torch.tensor([0.5, 0.5, 0.5, 1.0])[:, None, None]
    around[:] = torch.tensor([0.1, 0.1, 0.1, 0.5])[:, None, None]
    known = what_is_known(view, around).seen_RT3PP[0, 0, 0, :, 8]
    assert known[:24].eq(0.5).all()
    assert known[24] > 0.35
    assert (known[24:].diff() <= 0).all()
    assert known[-8:].eq(0.1).all()
    around[..., :3, :, :] *= 4.9  # all but the same: nothing is mended
    assert torch.equal(what_is_known(view, around).seen_RT3PP[..., 24:, :], around[..., :3, 24:, :])


def test_extension_keeps_what_is_known_and_fills_the_rest():
    weight = torch.zeros(1, 1, 144, 144)
    weight[..., :8] = 1
    filled = extended(0.7 * weight.expand(-1, 3, -1, -1), weight)
    assert torch.allclose(filled, torch.full_like(filled, 0.7), atol=1e-3)
    assert extended(torch.zeros(1, 3, 144, 144), torch.zeros(1, 1, 144, 144)).abs().max() == 0
