"""The network of `dream`: shapes, causality, the learned copy and its gradient, folding, crops."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from unreel.engine.backbone.conv import fold_pixels, unfold_pixels
from unreel.engine.context.view import SequenceView
from unreel.engine.errors import UserError
from unreel.modalities.video.codec import FoldCodec
from unreel.modalities.video.dream.net import DreamNet, Shifts

TINY = {"size": 16, "base": 8, "mid": 8, "width": 24, "depth": 1, "heads": 1, "reach": 1}


def tiny() -> DreamNet:
    torch.manual_seed(0)
    net = DreamNet(**TINY).eval()
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.1)
    return net


def inputs(rows: int) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    states = torch.randn(rows, 2, 12, 8, 8)
    told = {
        "action": torch.randint(9, (rows, 2)),
        "previous": torch.randn(rows, 2, 12, 8, 8),
        "previous_time": torch.ones(rows),
    }
    return states, torch.rand(rows), told


def view(net: DreamNet, sequences: int, chunks: int) -> SequenceView:
    return SequenceView(sequences, chunks, net.coords((2, 12, 8, 8)), net.rope, 2)


def test_prediction_is_float32_and_shaped_like_the_state() -> None:
    net = tiny()
    states, times, told = inputs(3)
    out = net(states, times, view(net, 1, 3), told)
    assert out.shape == states.shape
    assert out.dtype == torch.float32


def test_a_chunk_does_not_see_later_ones() -> None:
    net = tiny()
    states, times, told = inputs(3)
    before = net(states, times, view(net, 1, 3), told)
    changed = states.clone()
    changed[2] += 1
    after = net(changed, times, view(net, 1, 3), told)
    assert torch.allclose(before[:2], after[:2], atol=1e-6)
    assert not torch.allclose(before[2], after[2], atol=1e-3)


def test_the_keys_and_the_chunk_before_matter() -> None:
    net = tiny()
    states, times, told = inputs(1)
    base = net(states, times, view(net, 1, 1), told)
    for name, value in (("action", (told["action"] + 1) % 9), ("previous", told["previous"] + 1)):
        assert not torch.allclose(base, net(states, times, view(net, 1, 1), {**told, name: value}), atol=1e-4)


def test_the_second_frame_of_a_chunk_is_copied_from_the_first() -> None:
    net = tiny()
    net.leave.weight.data.zero_()
    bias = net.leave.bias.data.view(2, -1, 4)
    bias.fill_(-30.0)
    bias[:, :3] = 0.0
    bias[:, 3 + 3 + 4] = 30.0  # the shift by nothing
    states, times, told = inputs(2)
    out = net(states, times, view(net, 2, 1), told)
    last = told["previous"][:, -1]
    assert torch.allclose(out[:, 0], last, atol=1e-5)
    assert torch.allclose(out[:, 1], last, atol=1e-5)


def test_shifts_have_the_gradient_they_claim() -> None:
    frame = torch.randn(1, 2, 6, 6, dtype=torch.float64, requires_grad=True)
    weights = torch.rand(1, 9, 6, 6, dtype=torch.float64)
    weights[..., 0, :] = weights[..., -1, :] = weights[..., 0] = weights[..., -1] = 0  # clear of the repeated edge
    assert torch.autograd.gradcheck(lambda f: Shifts.apply(f, weights, 1), (frame,))
    free = weights.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda w: Shifts.apply(frame.detach(), w, 1), (free,))


def test_pixels_fold_as_the_codec_folds() -> None:
    frames = torch.randint(256, (2, 16, 16, 3), dtype=torch.uint8)
    latents = FoldCodec(2).encode(frames.numpy())
    pixels = unfold_pixels(latents[None], 2)
    assert torch.allclose((pixels[0].permute(0, 2, 3, 1) + 1) * 127.5, frames.float(), atol=1e-3)
    assert torch.equal(fold_pixels(pixels, 2)[0], latents)


def test_a_crop_uses_its_own_part_of_the_learned_maps() -> None:
    net = tiny()
    states, times, told = inputs(1)
    small = states[..., :4, 4:]
    told = {**told, "previous": told["previous"][..., :4, 4:]}
    here = net.encode(small, times, told, (0, 1))
    there = net.encode(small, times, told, (1, 0))
    assert here.tokens_RLD.shape == (1, 1, 24)
    assert not torch.allclose(here.tokens_RLD, there.tokens_RLD)
    assert net.decode(here.tokens_RLD, here, small, times, told["previous"], (0, 1)).shape == small.shape


def test_signal_is_the_part_of_the_stem_that_sees_the_chunk() -> None:
    net = tiny()
    state = torch.randn(2, 12, 8, 8)
    assert net.signal(state).shape == (8, 8, 8)
    assert torch.allclose(net.signal(2 * state), 2 * net.signal(state), atol=1e-5)


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match="multiple of 4"):
        DreamNet(size=20)
