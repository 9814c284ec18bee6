"""Trains the codec: what is seen through a narrow channel, told again as colours, classes and depth.

Letters: N frames, C channels, H and W pixels, h and w cells.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from unreel.engine.learner import Learner, Pace
from unreel.engine.weights import read_tensors
from unreel.modalities.world.codec import WorldCodec, load_codec, save_codec, to_pixels
from unreel.modalities.world.doom.data import Played
from unreel.modalities.world.metrics import d1, miou, psnr
from unreel.modalities.world.network import CodecConfig, WorldCodecNet

CODEC, LATENTS = "codec.safetensors", "latents.safetensors"
CLASS_WEIGHTS = (1.5, 1.2, 1.0, 3.0)  # ceiling, floor, wall, thing
EDGES, CLASSES, DEPTH, NARROW = 0.5, 0.2, 0.2, 1e-3  # weights of the losses beside that of the colours
TESTED = 512  # held-out frames that the result is measured on


class CodecTrainer:
    """Goes on from ``out/codec.pt``; when the time is used up, writes ``out/codec.safetensors``."""

    def __init__(
        self, played: Played, pace: Pace, out: Path, sizes: Mapping[str, int], *, samples: int = 16, seed: int = 0
    ) -> None:
        torch.manual_seed(seed)
        self.played, self.samples = played, samples
        self.learner = Learner(WorldCodecNet(CodecConfig(**sizes)), pace, out, seed, "codec")
        self.learner.resume()

    def run(self) -> None:
        """Train until the time is used up, make the latents standard, write the codec."""
        self.learner.run(self.loss, self.facts)
        net = self.learner.average
        assert isinstance(net, WorldCodecNet)
        raw = raw_latents(net, self.played.frames[:: max(1, len(self.played.frames) // 8192)])
        net.mean.copy_(raw.mean((0, 2, 3)))
        net.std.copy_(raw.std((0, 2, 3)))
        save_codec(net, self.learner.out / CODEC)

    def facts(self) -> dict[str, Any]:
        """What an export needs to know besides the weights."""
        assert isinstance(self.learner.master, WorldCodecNet)
        return {"sizes": asdict(self.learner.master.config)}

    def loss(self) -> tuple[Tensor, dict[str, float]]:
        """Errors of colours, of their edges and of the logarithm of depth, cross entropy, and the channel's cost."""
        net, g = self.learner.work, self.learner.generator
        assert isinstance(net, WorldCodecNet)
        at = torch.randint(len(self.played.frames), (self.samples,), generator=g).numpy()
        pixels = to_pixels(torch.from_numpy(self.played.frames[at]))
        kind = net.mean.dtype
        mean, log_variance = net.moments(pixels.to(kind, memory_format=torch.channels_last))
        drawn = mean + (log_variance / 2).exp() * torch.randn(mean.shape, generator=g).to(kind)
        features = net.features(drawn)
        read = {name: net.head(name, features).float() for name in net.heads}
        classes = torch.from_numpy(self.played.segmentation[at]).long()
        depth = torch.from_numpy(self.played.depth[at]).float().clamp(min=1).log()
        mean, log_variance = mean.float(), log_variance.float()
        parts = {
            "rgb": F.l1_loss(read["rgb"], pixels),
            "edges": edges(read["rgb"], pixels),
            "classes": F.cross_entropy(read["segmentation"], classes, torch.tensor(CLASS_WEIGHTS)),
            "depth": F.l1_loss(read["depth"][:, 0], depth),
            "narrow": (mean**2 + log_variance.exp() - 1 - log_variance).mean() / 2,
        }
        weights = dict(zip(parts, (1.0, EDGES, CLASSES, DEPTH, NARROW), strict=True))
        whole = torch.stack([weights[name] * part for name, part in parts.items()]).sum()
        return whole, {name: float(part.detach()) for name, part in parts.items()}


def edges(ours_N3HW: Tensor, truth_N3HW: Tensor) -> Tensor:
    """Mean absolute error of differences between neighbouring pixels."""
    return torch.stack([F.l1_loss(ours_N3HW.diff(dim=dim), truth_N3HW.diff(dim=dim)) for dim in (-1, -2)]).sum()


@torch.no_grad()
def raw_latents(net: WorldCodecNet, frames_NHWC: NDArray[np.uint8]) -> Tensor:
    """Means (N, C, h, w), float32 and not standard yet, of many frames, computed in bfloat16, which is faster."""
    quick, found = copy.deepcopy(net).to(torch.bfloat16), []
    for at in range(0, len(frames_NHWC), 256):
        pixels = to_pixels(torch.from_numpy(frames_NHWC[at : at + 256]))
        found.append(quick.moments(pixels.to(torch.bfloat16, memory_format=torch.channels_last))[0].float())
    return torch.cat(found)


def latents_of(out: Path, played: Played) -> Tensor:
    """Latents (N, C, h, w), float16, of what was played, made once by the codec in ``out`` and kept beside it."""
    path = out / LATENTS
    if not path.exists():
        partial = path.with_suffix(".part")
        net = load_codec(out / CODEC)
        save_file({"latents": net.standard(raw_latents(net, played.frames)).half().contiguous()}, partial)
        partial.replace(path)
    return read_tensors(path)["latents"]


def measured(path: Path, held_out: Played) -> dict[str, float]:
    """How well the codec at ``path`` tells again frames that it has not seen."""
    at = np.linspace(0, len(held_out.frames) - 1, TESTED).astype(int)
    codec = WorldCodec.of(load_codec(path))
    latents = codec.encode(held_out.frames[at])
    return {
        "psnr": psnr(codec.read("rgb", latents), held_out.frames[at]),
        "miou": miou(codec.read("segmentation", latents), held_out.segmentation[at]),
        "d1": d1(codec.read("depth", latents), held_out.depth[at].astype(np.float32)),
    }
