"""Tokens to poses, chunk by chunk. The session holds the state: tails of convolutions, the root's place, a path's."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from unreel.engine.errors import UserError
from unreel.engine.netfile import load_net, save_net
from unreel.engine.types import Chunk, Emission
from unreel.modalities.motion.body import BODY, shaped
from unreel.modalities.motion.features import FPS, ORIGIN, Layout, Place, decode, encode
from unreel.modalities.motion.ground import grounded
from unreel.modalities.motion.network import FRAMES, CodecConfig, MotionCodecNet
from unreel.modalities.motion.path import ahead
from unreel.modalities.motion.poses import Poses
from unreel.modalities.skeleton.motion import Motion
from unreel.modalities.skeleton.rotations import continuous
from unreel.modalities.skeleton.skeleton import Skeleton


class MotionCodec:
    """Codes, one-hot (T, levels, codes), to `Poses` at 30 frames per second; always in float32.

    Args:
        weights: a safetensors file that `save_codec` wrote; without it ``sizes`` of a network with random weights.
    """

    frames_per_latent = FRAMES
    remembers = True  # what a session starts from is decoded too, so that what follows goes on from there

    def __init__(self, weights: str | None = None, sizes: Mapping[str, int] | None = None) -> None:
        self.layout = Layout.of(BODY)
        if weights is not None:
            self.net = load_codec(Path(weights))
        else:
            with torch.random.fork_rng():
                torch.manual_seed(0)
                self.net = MotionCodecNet(CodecConfig(self.layout.width, **(sizes or {})))
        self.net.requires_grad_(False).eval()
        if self.net.config.features != self.layout.width:
            had = self.net.config.features
            raise UserError(f"a motion codec has {self.layout.width} features for {len(BODY)} joints, got {had}")

    def bind(self, device: str, dtype: torch.dtype) -> None:
        """Put the network where the model is; it computes in float32 whatever ``dtype`` the model has."""
        self.net.to(device)
        self.device = torch.device(device)

    def latent_shape(self, frames: int, height: int, width: int) -> tuple[int, ...]:
        return (frames, self.net.config.levels, self.net.config.codes)

    def encode(self, media: Any) -> Tensor:
        """The codes (T, levels, codes), one-hot, of a motion on `BODY` (or a shape of it) at any rate.

        The last pose is held up to a whole number of chunks.
        """
        if not isinstance(media, Motion) or media.skeleton.names != BODY.names:
            raise UserError("a motion session starts from a motion on the body's joints; carry it there with `on_body`")
        numbers, _ = encode(media.resampled(FPS) if media.fps != FPS else media)
        short = -len(numbers) % FRAMES
        numbers = np.concatenate([numbers, self._held(numbers[-1:]).repeat(short, 0)])
        with torch.inference_mode():
            codes = self.net.codes(torch.from_numpy(numbers)[None].to(self.net.mean.device))[0]
        return one_hot(codes, self.net.config.codes).float()

    def _held(self, frame: np.ndarray) -> np.ndarray:
        """A frame (1, width) that stands still."""
        still, parts = frame.copy(), self.layout.parts
        for name in ("velocity", "turn", "velocities"):
            still[:, parts[name]] = 0.0
        still[:, parts["contacts"]] = 1.0
        return still

    def new_state(self) -> dict[str, Tensor]:
        return {}

    def decode(self, latents: Tensor, state: dict[str, Tensor]) -> tuple[Poses, dict[str, Tensor]]:
        """The poses of codes (T, levels, codes) on the unchanged `BODY`."""
        return self._decoded(latents, torch.zeros(len(BODY)), state)

    def emit(
        self, chunk: Chunk, latents: Tensor, told: Mapping[str, Tensor], state: dict[str, Tensor]
    ) -> tuple[list[Emission], dict[str, Tensor]]:
        """One event of 4 poses for every token of the chunk's time, on the body that the chunk was told of."""
        poses, state = self._decoded(latents, told.get("body", torch.zeros(len(BODY))), state)
        return [Emission(chunk, poses)], state

    def _decoded(self, latents: Tensor, body: Tensor, state: dict[str, Tensor]) -> tuple[Poses, dict[str, Tensor]]:
        tails = [state[f"tail.{n}"] for n in range(_count(state))] if state else None
        device = self.net.mean.device
        with torch.inference_mode():
            codes = latents.to(device).argmax(-1)[None]
            numbers, tails = self.net.decode(self.net.quantiser.decode(codes), tails)
        frames = numbers[0].cpu().numpy()
        motion, place = decode(frames, _somebody(tuple(body.tolist())), place_of(state))
        rotations = motion.rotations
        if "turns" in state:  # signs go on as they were
            rotations = continuous(np.concatenate([state["turns"].numpy()[None], rotations]))[1:]
        contacts = frames[:, self.layout.parts["contacts"]].clip(0, 1)
        up, ground = grounded(motion.positions()[..., 1].min(1), state.get("ground"))
        root = motion.root + up[:, None] * (0.0, 1.0, 0.0)
        after = {f"tail.{n}": tail.clone() for n, tail in enumerate(tails)}
        after |= {"place": torch.tensor(place, dtype=torch.float64), "along": state.get("along", torch.zeros(()))}
        after |= {"turns": torch.from_numpy(rotations[-1].copy()), "ground": ground}
        return Poses(motion.skeleton, motion.fps, root.astype(np.float32), rotations, contacts), after

    def told(self, words: dict[str, Tensor], state: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """What a chunk that begins is told, its path as it is seen from the root; and the state with its progress."""
        curve = words.get("path")
        if curve is None or curve.dim() == 1:
            return words, {**state, "along": torch.zeros(())} if state else state
        speed, closed = (float(number) for number in curve[0])
        begun = float(state["along"]) if "along" in state else 0.0
        told, along = ahead(curve[1:].double().numpy(), closed > 0, speed, place_of(state), begun)
        words = {**words, "path": torch.from_numpy(told).float()}
        return words, {**state, "along": torch.tensor(along)} if state else state


@lru_cache(maxsize=64)
def _somebody(logarithms: tuple[float, ...]) -> Skeleton:
    return shaped(np.exp(logarithms))


def place_of(state: Mapping[str, Tensor]) -> Place:
    """Where the root is after all that was decoded."""
    if "place" not in state:
        return ORIGIN
    x, z, heading = state["place"].tolist()
    return x, z, heading


def _count(state: Mapping[str, Tensor]) -> int:
    return sum(name.startswith("tail.") for name in state)


def save_codec(net: MotionCodecNet, path: Path, *, half: bool = False) -> None:
    """Write the network and its sizes; its numbers in float16 if ``half`` (it computes in float32 all the same)."""
    save_net(net, path, "motion codec", half=half)


def load_codec(path: Path) -> MotionCodecNet:
    """The network that `save_codec` wrote.

    Raises:
        UserError: the file is not there, or is none.
    """
    return load_net(path, "motion codec", lambda sizes: MotionCodecNet(CodecConfig(**sizes)))
