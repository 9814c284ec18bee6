"""What a caller hands in, checked: observations as an array, a clip or a trajectory, and actions in any spelling.

Letters: T frames, S samples, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unreel.engine.actions import parse_actions
from unreel.engine.errors import UserError
from unreel.engine.model import Model
from unreel.modalities.media.frames import Frames, check_frames
from unreel.modalities.media.start import load_start

Ids = NDArray[np.int64]
OBSERVED = 32  # most chunks of the observations that are looked at: the newest


@dataclass(frozen=True)
class Observed:
    """``media`` as ``Model.session`` takes a start; ``actions[t]`` is the action that led to frame ``t``."""

    media: Any
    actions: list[int] | None = None


def observed(model: Model, observations: Any, fit: Literal["exact", "crop"] = "exact") -> Observed:
    """The newest whole chunks of some observations.

    They are uint8 frames (T, H, W, 3), the path of a clip or an image, float latents (T, C, h, w) as a tensor, a list
    of frames, a trajectory ``{"observations": ..., "actions": ...}``, the number of a seed clip of the model, or
    None for its first. Of a trajectory's actions there is one per frame (it led there) or one per step between frames.

    Raises:
        UserError: anything that is none of these, has another size, or is shorter than a chunk.
    """
    if observations is None or isinstance(observations, int):
        return Observed(0 if observations is None and model.seeds else observations)
    taken = None
    if isinstance(observations, Mapping):
        if "observations" not in observations:
            raise UserError(f"a trajectory has 'observations' (and 'actions'), got {', '.join(map(str, observations))}")
        taken, observations = observations.get("actions"), observations["observations"]
    media = _media(model, observations, fit)
    least, whole = model.frames_per_chunk, len(media) // model.frames_per_chunk
    if not whole:
        raise UserError(f"{model.name} needs {least} frames to go on from (one chunk), got {len(media)}")
    actions = None if taken is None else _led(model, taken, len(media))
    kept = min(whole, OBSERVED) * least
    return Observed(media[-kept:], None if actions is None else actions[-kept:])


def _media(model: Model, observations: Any, fit: Literal["exact", "crop"]) -> Any:
    height, width = model.frame_size
    if isinstance(observations, Tensor) and observations.is_floating_point():
        return observations
    if isinstance(observations, str | Path):
        least = model.frames_per_chunk
        return load_start(observations, OBSERVED * least, height, width, least=least, fit=fit)
    try:
        frames: Frames = np.asarray(observations)
    except ValueError:
        raise UserError("the observations differ in shape: give frames of one size") from None
    return load_start(check_frames(frames, None), len(frames), height, width, least=min(len(frames), 1), fit=fit)


def _led(model: Model, actions: Any, frames: int) -> list[int]:
    """One action id per frame; what led to the first is not known where a trajectory has one action less."""
    ids = action_ids(model, actions)
    if len(ids) not in (frames - 1, frames):
        raise UserError(f"{frames} observations have {frames} or {frames - 1} actions, got {len(ids)}")
    return ids if len(ids) == frames else [0, *ids]


def action_ids(model: Model, actions: Any) -> list[int]:
    """One id per frame, of ``"w-40,wd-20"``, or of a list of names or ids.

    Raises:
        UserError: an action that the model does not know, or a model without actions.
    """
    if not model.actions:
        raise UserError(f"{model.name} takes no actions; leave them out")
    if isinstance(actions, str):
        actions = [name for name, frames in parse_actions(actions, model.actions) for _ in range(frames)]
    if isinstance(actions, Sequence) and any(isinstance(one, str) for one in actions):
        actions = [name for one in actions for name, _ in parse_actions(str(one), model.actions)]
        return [model.actions.index(name) for name in actions]
    ids = np.asarray(actions)
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        raise UserError(f"actions are names or whole numbers, one per frame, got {ids.dtype} of shape {ids.shape}")
    bad = sorted({int(i) for i in ids if not 0 <= i < len(model.actions)})
    if bad:
        raise UserError(f"{model.name} has the actions 0 to {len(model.actions) - 1}, got {', '.join(map(str, bad))}")
    return [int(i) for i in ids]


def future_actions(model: Model, actions: Any, samples: int, horizon: int) -> Ids | None:
    """The action ids (S, T) of every sample: one script for all of them, or an array (S, T) with one for each.

    Raises:
        UserError: an action that the model does not know, other than ``samples`` scripts, or fewer frames than wanted.
    """
    if actions is None:
        return None
    array = np.asarray(actions.cpu() if isinstance(actions, torch.Tensor) else actions)
    if array.ndim == 2:
        if len(array) != samples:
            raise UserError(f"actions (samples, frames) are for {samples} samples, got {array.shape}")
        rows = [action_ids(model, list(row)) for row in array]
    else:
        rows = [action_ids(model, actions if isinstance(actions, str) else list(array.tolist()))] * samples
    if len(rows[0]) < horizon:
        raise UserError(
            f"the horizon is {horizon} frames and the actions last {len(rows[0])}: give one for every frame, as in "
            f"{model.actions[-1]}-{horizon}"
        )
    return np.array([row[:horizon] for row in rows], dtype=np.int64)
