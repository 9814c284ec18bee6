"""Residual quantisation: every level adds, codebooks follow, few levels are enough for a part of the samples."""

from __future__ import annotations

import torch

from unreel.modalities.motion.quantise import ResidualQuantiser


def data(seed: int = 0) -> torch.Tensor:
    return torch.randn(8, 16, 4, generator=torch.Generator().manual_seed(seed)) * 3


def trained(steps: int = 60, **options: float) -> ResidualQuantiser:
    torch.manual_seed(0)
    quantiser = ResidualQuantiser(3, 32, 4).train()
    generator = torch.Generator().manual_seed(1)
    for step in range(steps):
        quantiser(data(step % 4), generator, **options)
    return quantiser.eval()


def test_every_level_comes_closer():
    quantiser = trained()
    latents = data()
    codes = quantiser.encode(latents)
    assert codes.shape == (8, 16, 3)
    errors = []
    for levels in range(1, 4):
        parts = [quantiser.books[q][codes[..., q]] / quantiser.stretch[q].exp() for q in range(levels)]
        errors.append((latents - torch.stack(parts).sum(0)).square().mean())
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.1 * latents.square().mean()
    assert torch.allclose(quantiser.decode(codes), quantiser(latents).latents, atol=1e-5)


def test_later_levels_stretch_more():
    stretch = trained().stretch.detach().mean(1)
    assert stretch[0] < stretch[1] < stretch[2]


def test_gradients_go_through_and_reach_the_factors():
    quantiser = trained().train()
    latents = data().requires_grad_()
    coded = quantiser(latents, torch.Generator().manual_seed(0))
    (coded.latents.square().mean() + coded.commitment).backward()
    assert latents.grad is not None
    assert latents.grad.abs().min() > 0
    assert quantiser.stretch.grad is not None
    assert quantiser.stretch.grad.abs().sum() > 0


def test_dropout_leaves_some_samples_with_few_levels():
    quantiser = trained().train()
    generator = torch.Generator().manual_seed(3)
    few = quantiser(data(), generator, dropout=1.0)
    whole = quantiser.decode(few.codes)
    differs = (few.latents - whole).flatten(1).abs().amax(1) > 1e-4
    assert differs.any()
    assert not quantiser.eval()(data(), dropout=1.0).latents.isnan().any()


def test_no_code_is_left_unused():
    quantiser = trained(200)
    used = torch.cat([quantiser.encode(data(seed))[..., 0].flatten() for seed in range(4)])
    assert len(used.unique()) > 24
