"""Our Wan against diffusers' two, on the same random weights. Needs the extra [wan]."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("diffusers", reason="needs the extra [wan]: diffusers")

from tiny_wan import SIZES, skyreels, wan

from unreel.engine.attention import sdpa
from unreel.engine.backbone.wan import WanBackbone
from unreel.engine.context.store import Context
from unreel.engine.context.view import RowsView, SequenceView, Track
from unreel.engine.context.window import Full
from unreel.engine.errors import UserError
from unreel.engine.rope import rotate
from unreel.engine.types import Chunk
from unreel.engine.weights import fill
from unreel.modalities.video.wan import keys

TOLERANCE = 1e-4


def ours(theirs: Any, **changes: Any) -> WanBackbone:
    tensors = keys.read(theirs.state_dict()).tensors
    net = WanBackbone(**{**keys.sizes(tensors, heads=SIZES["num_attention_heads"]), **changes})
    fill(net, tensors, Path("tiny"))
    return net.requires_grad_(False).eval()


def inputs(rows: int = 1, frames: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, frames, 16, 4, 6, generator=generator), torch.randn(rows, 7, 24, generator=generator)


def one_row(net: WanBackbone, states: Tensor, times: Tensor, text: Tensor) -> Tensor:
    """Everything visible: one row that is the whole video."""
    view = SequenceView(states.shape[0], 1, net.coords(tuple(states.shape[1:])), net.rope, span=states.shape[1])
    return net(states, times, view, {"prompt": text})


@pytest.mark.parametrize("sigma", [1.0, 0.9375, 0.25])
@torch.inference_mode()
def test_equals_diffusers_wan_when_everything_is_visible(sigma: float) -> None:
    theirs = wan()
    states, text = inputs(rows=2, frames=5)
    timestep = torch.full((2,), 1000.0 * sigma)
    velocity = theirs(states.transpose(1, 2), timestep, text, return_dict=False)[0].transpose(1, 2)
    clean = one_row(ours(theirs), states, torch.full((2,), 1.0 - sigma), text)
    assert (clean - (states - sigma * velocity)).abs().max() < TOLERANCE


@pytest.mark.parametrize("fps", [16, 24])
@torch.inference_mode()
def test_equals_diffusers_skyreels_block_causal_with_a_level_per_chunk(fps: int) -> None:
    theirs = skyreels()
    theirs._set_ar_attention(3)
    states, text = inputs(rows=1, frames=9)
    sigmas = torch.tensor([0.0, 0.4, 0.9])
    velocity = theirs(
        states.transpose(1, 2),
        (1000.0 * sigmas.repeat_interleave(3))[None],
        text,
        enable_diffusion_forcing=True,
        fps=[0 if fps == 16 else 1],
        return_dict=False,
    )[0].transpose(1, 2)
    net = ours(theirs, fps=fps)
    rows = states[0].unflatten(0, (3, 3))
    view = SequenceView(1, 3, net.coords(tuple(rows.shape[1:])), net.rope, span=3)
    clean = net(rows, 1.0 - sigmas, view, {"prompt": text.expand(3, -1, -1)})
    expected = rows - sigmas[:, None, None, None, None] * velocity[0].unflatten(0, (3, 3))
    assert (clean - expected).abs().max() < TOLERANCE


@torch.inference_mode()
def test_a_cached_context_equals_the_whole_sequence() -> None:
    net, (states, text) = ours(wan()), inputs(rows=4)
    times, coords = torch.tensor([1.0, 1.0, 1.0, 0.3]), net.coords((3, 16, 4, 6))
    whole = net(states, times, SequenceView(1, 4, coords, net.rope, span=3), {"prompt": text})
    context = Context.empty(Full(), net.rope, net.layers, net.heads)
    for c in range(4):
        chunk = Chunk(c, 3 * c, 3, (3, 16, 4, 6))
        view = RowsView([Track(context, [(0, chunk)], {0})], net.rope, lambda _: coords, sdpa)
        prompt = net.together("prompt", [text[c]])
        clean = net(states[c : c + 1], times[c : c + 1], view, {"prompt": prompt})
        assert torch.allclose(clean[0], whole[c], atol=1e-5)
        context.commit(chunk, tuple(view.captured[0]), coords)


def test_our_rotation_is_diffusers_rotation() -> None:
    theirs, net = wan(attention_head_dim=128, num_attention_heads=1), WanBackbone(128, 1, 1, 8, 16, 8, 8)
    cos, sin = theirs.rope(torch.zeros(1, 16, 5, 8, 12))
    x = torch.randn(5 * 4 * 6, 1, 128)
    even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
    c, s = cos[0, ..., 0::2], sin[0, ..., 1::2]
    expected = torch.stack((even * c - odd * s, even * s + odd * c), -1).flatten(-2)
    turned = rotate(x, net.rope.angles(net.coords((5, 16, 8, 12))[:, None]))
    assert net.rope.dims == (44, 42, 42)
    assert torch.allclose(turned, expected, atol=1e-5)


@torch.inference_mode()
def test_keys_of_a_prompt_are_computed_once_and_die_with_it() -> None:
    net, (states, text) = ours(wan()), inputs(rows=3)
    first, second = text[0].clone(), text[1].clone()
    prompts = net.together("prompt", [first, second, first])
    assert prompts.rows == (0, 1, 0)
    assert net.together("prompt", [first]).kv[0] is prompts.kv[0]
    view = SequenceView(3, 1, net.coords((3, 16, 4, 6)), net.rope, span=3)
    times = torch.tensor([0.2, 0.5, 0.8])
    shared = net(states, times, view, {"prompt": prompts})
    stacked = net(states, times, view, {"prompt": torch.stack([first, second, first])})
    assert torch.allclose(shared, stacked, atol=1e-6)
    assert len(net._told) == 2
    del first, second
    assert len(net._told) == 0


def test_bfloat16_keeps_the_modulation_precise() -> None:
    net = ours(wan())
    exact = net.blocks[0].modulation.data.clone()
    net.to(torch.bfloat16)
    assert net.blocks[0].self_attn.q.weight.dtype == torch.bfloat16
    assert torch.equal(net.blocks[0].modulation.data, exact)
    assert net.time_embedding[0].weight.dtype == torch.float32
    states, text = inputs()
    with torch.inference_mode():
        out = one_row(net, states.bfloat16(), torch.tensor([0.5]), text)
        full = one_row(ours(wan()), states, torch.tensor([0.5]), text)
    assert (out - full).abs().mean() < 0.05


@torch.inference_mode()
def test_offload_and_compile_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    compile = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f: compile(f, backend="eager"))  # traced, but nothing is built
    states, text = inputs()
    plain = one_row(ours(wan()), states, torch.tensor([0.5]), text)
    for option in ("offload", "compile"):
        net = ours(wan(), **{option: True}).to("cpu", torch.float32)
        assert torch.equal(one_row(net, states, torch.tensor([0.5]), text), plain)


def test_offloaded_blocks_only_visit_the_device() -> None:
    net = WanBackbone(32, 2, 2, 8, 16, 8, 8, offload=True)
    weight, seen = net.blocks[0].ffn[0].weight, []
    home = weight.data_ptr()

    class Elsewhere:  # stands for a device: what arrives there is a copy
        def __call__(self, tensor: Tensor) -> Tensor:
            seen.append(tensor)
            return tensor.clone()

    visit = net.blocks[0]._forward_pre_hooks
    enter, leave = next(iter(visit.values())), next(iter(net.blocks[0]._forward_hooks.values()))
    enter.__self__.bring = Elsewhere()
    enter(net.blocks[0], ())
    assert weight.data_ptr() != home
    leave(net.blocks[0], (), None)
    assert weight.data_ptr() == home
    assert len(seen) == len(list(net.blocks[0].parameters()))
    assert net.to(torch.bfloat16).blocks[0].ffn[0].weight.dtype == torch.bfloat16


@pytest.mark.parametrize("wrong", [{"heads": 5}, {"fps": 30}, {"time_width": 7}, {"depth": 0}])
def test_sizes_that_cannot_be_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UserError):
        WanBackbone(**{"width": 32, "depth": 1, "heads": 2, "ffn": 8, "text_width": 8, **wrong})


def test_odd_latents_are_refused() -> None:
    with pytest.raises(UserError, match="multiple of 2"):
        WanBackbone(32, 1, 2, 8, 16, 8, 8).coords((3, 16, 5, 4))
