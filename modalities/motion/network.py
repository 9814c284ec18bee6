"""The codec's network: features to latents, four frames to one, and back; nothing ever looks ahead.

Causal convolutions (padding (k - 1) d + (1 - s) before the first frame, as MotionStreamer's causal autoencoder): a
latent knows its own four frames and earlier ones, and four frames decode from their latent and earlier ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unreel.engine.errors import UserError
from unreel.modalities.motion.quantise import ResidualQuantiser

FRAMES = 4  # of a latent
FEW = 8  # steps


@dataclass(frozen=True)
class CodecConfig:
    """Sizes: ``features`` a frame, ``width`` of the convolutions, ``latent`` of the codes, ``depth`` blocks a stage."""

    features: int
    levels: int = 6
    codes: int = 256
    latent: int = 128
    width: int = 256
    depth: int = 2

    def __post_init__(self) -> None:
        small = [name for name, value in vars(self).items() if not isinstance(value, int) or value < 1]
        if small:
            raise UserError(f"sizes of a motion codec are whole numbers of 1 or more; not so: {', '.join(small)}")


class Tails:
    """The last inputs of every causal convolution, in the order they are called: what decoding goes on from.

    ``old`` None begins a stream, with zeros. ``new`` is filled while a network runs.
    """

    def __init__(self, old: list[Tensor] | None = None) -> None:
        self._old: Iterator[Tensor] | None = None if old is None else iter(old)
        self.new: list[Tensor] = []

    def join(self, x_BCT: Tensor, width: int) -> Tensor:
        """``x`` with the ``width`` inputs before it."""
        before = x_BCT.new_zeros(*x_BCT.shape[:2], width) if self._old is None else next(self._old)
        whole = torch.cat([before, x_BCT], -1)
        self.new.append(whole[..., whole.shape[-1] - width :])
        return whole


class CausalConv(nn.Conv1d):
    """A convolution over time that sees nothing later than its output."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__(inside, outside, kernel, stride=stride, dilation=dilation)
        self.before = (kernel - 1) * dilation + 1 - stride

    def run(self, x_BCT: Tensor, tails: Tails) -> Tensor:
        """Whole strides of input, and what came before it out of ``tails``.

        A few steps are one matrix product: half the time of a convolution on a CPU.
        """
        whole = tails.join(x_BCT, self.before)
        kernel, stride, dilation = self.kernel_size[0], self.stride[0], self.dilation[0]
        steps = x_BCT.shape[-1] // stride
        if steps > FEW or torch.is_grad_enabled():
            out: Tensor = self(whole)
            return out
        at = torch.arange(steps)[:, None] * stride + torch.arange(kernel) * dilation
        seen_BTCK = whole[..., at].transpose(1, 2)
        made: Tensor = nn.functional.linear(seen_BTCK.flatten(2), self.weight.flatten(1), self.bias)
        return made.transpose(1, 2)


class Block(nn.Module):
    """A residual block: a wide look back, then a mix of channels."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.look = CausalConv(width, width, 3, dilation=dilation)
        self.mix = nn.Conv1d(width, width, 1)

    def run(self, x_BCT: Tensor, tails: Tails) -> Tensor:
        act = nn.functional.silu
        out: Tensor = x_BCT + self.mix(act(self.look.run(act(x_BCT), tails)))
        return out


class MotionCodecNet(nn.Module):
    """Encoder, quantiser, decoder, and the means and spreads of the features they were trained on."""

    mean: Tensor
    spread: Tensor

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        c = self.config = config
        dilations = [3 ** (n % 3) for n in range(c.depth)]

        def stage() -> list[nn.Module]:
            return [Block(c.width, dilation) for dilation in dilations]

        self.inward = nn.ModuleList(
            [
                CausalConv(c.features, c.width, 3), *stage(), CausalConv(c.width, c.width, 4, stride=2), *stage(),
                CausalConv(c.width, c.width, 4, stride=2), *stage(), CausalConv(c.width, c.latent, 3),
            ]
        )  # fmt: skip
        self.quantiser = ResidualQuantiser(c.levels, c.codes, c.latent)
        self.outward = nn.ModuleList(
            [
                CausalConv(c.latent, c.width, 3), *stage(), Twice(), CausalConv(c.width, c.width, 3), *stage(), Twice(),
                CausalConv(c.width, c.width, 3), *stage(), CausalConv(c.width, c.features, 3),
            ]
        )  # fmt: skip
        self.register_buffer("mean", torch.zeros(c.features))
        self.register_buffer("spread", torch.ones(c.features))

    def encode(self, features_BTD: Tensor) -> Tensor:
        """Latents (B, T / 4, latent) of features, not quantised; T is a multiple of four."""
        x = ((features_BTD - self.mean) / self.spread).transpose(1, 2)
        return _through(self.inward, x, Tails()).transpose(1, 2)

    def decode(self, latents_BTD: Tensor, tails: list[Tensor] | None = None) -> tuple[Tensor, list[Tensor]]:
        """Features (B, 4 T, D), and the tails that decoding goes on from."""
        x, memory = latents_BTD.transpose(1, 2), Tails(tails)
        x = _through(self.outward, x, memory)
        return x.transpose(1, 2) * self.spread + self.mean, memory.new

    def codes(self, features_BTD: Tensor) -> Tensor:
        """The codes (B, T / 4, Q) of features."""
        return self.quantiser.encode(self.encode(features_BTD))


def _through(parts: nn.ModuleList, x_BCT: Tensor, tails: Tails) -> Tensor:
    for part in parts:
        assert isinstance(part, CausalConv | Block | Twice), "all that looks at time keeps its tail"
        x_BCT = part.run(x_BCT, tails)
    return x_BCT


class Twice(nn.Module):
    """Every step two times."""

    def run(self, x_BCT: Tensor, tails: Tails) -> Tensor:
        return x_BCT.repeat_interleave(2, -1)
