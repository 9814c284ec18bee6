"""The feature space that motions are compared in, and a classifier of what is done: trained here, on real clips alone.

"unreel motion space 1": 64 frames of `motion.features` (without contacts), normalised; three causal convolutions of
width 96 with stride two, mean and largest over time, 64 numbers. It learns to tell actions and to give back the mean
and the spread of every feature, for 1500 steps (about a minute on one core); seed 0. Distances compare only within
one run: another training is another space. Nothing that was generated, and nothing held out, is ever seen in training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unreel.engine.errors import UserError
from unreel.modalities.motion.body import BODY
from unreel.modalities.motion.features import Layout
from unreel.modalities.motion.motion.data import Labelled

NAME, FRAMES, WIDTH, SPACE = "unreel motion space 1", 64, 96, 64
ACTIONS = (  # the first that a text has a word of; longer texts are of the action they begin with
    "climb", "walk", "run", "jump", "sword", "slash", "punch", "kick", "attack", "wave", "die", "dance", "roll", "sit",
    "lie", "shoot", "hit", "nod", "shake", "pick", "throw", "cast", "block", "cheer", "dodge", "scoop", "idle",
)  # fmt: skip

Numbers = NDArray[np.float64]


def action(text: str) -> int | None:
    """The number of the action that a text tells of; None for others."""
    words = text.replace(",", " ").split()
    found = [(words.index(name), number) for number, name in enumerate(ACTIONS) if name in words]
    return min(found)[1] if found else None


def windows(clips: Sequence[Labelled], stride: int = 32) -> tuple[NDArray[np.float32], list[Labelled]]:
    """Stretches of `FRAMES` frames (N, FRAMES, D) and the clips they are of; loops go round, other short ones stand."""
    cut, owners = [], []
    for clip in clips:
        numbers, length = clip.features, len(clip.features)
        if length < FRAMES:
            at = 1 + np.arange(FRAMES) % (length - 1) if clip.cyclic else np.minimum(np.arange(FRAMES), length - 1)
            numbers = numbers[at]
        for start in range(0, len(numbers) - FRAMES + 1, stride):
            cut.append(numbers[start : start + FRAMES])
            owners.append(clip)
    return np.stack(cut).astype(np.float32), owners


class _Net(nn.Module):
    def __init__(self, features: int) -> None:
        super().__init__()
        sizes = (features, WIDTH, WIDTH, WIDTH)
        self.look = nn.ModuleList(nn.Conv1d(a, b, 5, stride=2) for a, b in zip(sizes, sizes[1:], strict=False))
        self.space = nn.Linear(2 * WIDTH, SPACE)
        self.actions, self.back = nn.Linear(SPACE, len(ACTIONS)), nn.Linear(SPACE, 2 * features)

    def forward(self, x_BTD: Tensor) -> Tensor:
        x = x_BTD.transpose(1, 2)
        for layer in self.look:
            x = nn.functional.silu(layer(x))
        out: Tensor = self.space(torch.cat([x.mean(-1), x.amax(-1)], -1))
        return out


@dataclass
class Space:
    """Trained by `learned`."""

    net: _Net
    mean: Tensor
    spread: Tensor
    told: int  # features that are looked at

    def features(self, windows_NTD: NDArray[np.float32]) -> Numbers:
        """One row of 64 numbers for each window of `FRAMES` frames."""
        with torch.inference_mode():
            return np.asarray(self.net(self._scaled(windows_NTD)).double().numpy())

    def recovered(self, windows_NTD: NDArray[np.float32], texts: Sequence[str]) -> float:
        """Share of the windows whose action the classifier tells from the motion; NaN if no text tells an action."""
        with torch.inference_mode():
            guess = self.net.actions(self.net(self._scaled(windows_NTD))).argmax(-1).tolist()
        right = [g == wanted for g, text in zip(guess, texts, strict=True) if (wanted := action(text)) is not None]
        return float(np.mean(right)) if right else float("nan")

    def _scaled(self, windows_NTD: NDArray[np.float32]) -> Tensor:
        return (torch.from_numpy(windows_NTD[..., : self.told]) - self.mean) / self.spread


def learned(clips: Sequence[Labelled], steps: int, seed: int = 0) -> Space:
    """The space of some real clips.

    Raises:
        UserError: none of them tells an action.
    """
    real, owners = windows(clips)
    texts = [clip.text for clip in owners]
    told = Layout.of(BODY).parts["contacts"].start
    known = [number for text in texts if (number := action(text)) is not None]
    if not known:
        raise UserError("no clip has a text that tells an action (walk, run, jump, ...), so nothing can be recognised")
    rows = torch.from_numpy(real[..., :told])
    labels = torch.tensor([-100 if (number := action(text)) is None else number for text in texts])
    counts = torch.bincount(labels.clamp_min(0), minlength=len(ACTIONS)).float()
    share = (counts[labels.clamp_min(0)] ** -0.5).double()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        space = Space(_Net(told), rows.mean((0, 1)), rows.std((0, 1)).clamp_min(0.05), told)
        scaled = (rows - space.mean) / space.spread
        optimiser = torch.optim.AdamW(space.net.parameters(), lr=1e-3, weight_decay=0.05)
        for step in range(steps):
            optimiser.param_groups[0]["lr"] = 1e-3 * (1 - step / steps)
            picked = torch.multinomial(share, 48, replacement=True)
            batch = scaled[picked]
            batch = batch + 0.05 * torch.randn_like(batch)
            found = space.net(batch)
            back = torch.cat([batch.mean(1), batch.std(1)], -1)
            loss = nn.functional.mse_loss(space.net.back(found), back)
            if (labels[picked] >= 0).any():
                loss = loss + nn.functional.cross_entropy(space.net.actions(found), labels[picked], label_smoothing=0.1)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    space.net.eval()
    return space
