"""A world model as an API: observations and actions in, many futures out, or one step of many at a time.

The observed chunks enter one context once. Every future is a fork of it, which copies no tensor, and all of them are
denoised together, one row each in every backbone call (several futures of one context as in VFMF).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from unreel.engine.context.sharing import Held
from unreel.engine.context.storage import Storage
from unreel.engine.context.window import SinkWindow
from unreel.engine.errors import UserError
from unreel.engine.generate import advance
from unreel.engine.model import Model
from unreel.engine.plan import TimePlan
from unreel.engine.rng import mixed_seed
from unreel.engine.session import Session
from unreel.engine.types import CommitMode
from unreel.modalities.world.branch import Branch, held_by, leaves
from unreel.modalities.world.forecast import Forecast
from unreel.modalities.world.observations import Ids, future_actions, observed

Note = Callable[[int], bool | None]


class Forecaster:
    """Forecasts with a model. It holds nothing that changes: any number of branches may live on one.

    ``steps``, ``context`` and ``guidance`` override the model's card as in ``Model.session``; ``batch`` is how many
    futures share a backbone call (more are made in turns). With ``keep_past`` the futures of ``forecast`` look at the
    observed chunks to the end, and at the one newest of their own, instead of at a window that leaves the past behind:
    so they go on sharing it, and a batch holds a fraction of the bytes.

    Raises:
        UserError: a model that makes no pictures chunk by chunk, or an option it cannot honour.
    """

    def __init__(
        self,
        model: Model,
        steps: int | None = None,
        *,
        context: str | dict[str, Any] | None = None,
        guidance: float | None = None,
        batch: int = 64,
        keep_past: bool = False,
    ) -> None:
        # without decoding nothing judges a world, so no ending restarts it: a forecast is of one world
        options: dict[str, Any] = {"steps": steps, "context": context, "guidance": guidance, "decode": False}
        codec = model.codec
        settings = model.settings(options, None)
        plain = isinstance(settings.plan, TimePlan) and not hasattr(codec, "emit")
        pictures = hasattr(codec, "outputs") or model.card.modality == "video"
        if not (plain and pictures) or model.lead or getattr(codec, "remembers", False):
            raise UserError(f"{model.name} cannot be forecast with: that takes a world model such as doom or dream")
        if batch < 1:
            raise UserError(f"batch must be 1 or more futures, got {batch}")
        known = isinstance(settings.context, SinkWindow) and settings.storage == Storage() and not settings.budget_bytes
        if keep_past and not known:
            raise UserError("keep_past replaces the context `window` in plain storage: leave out context")
        self.model, self.batch, self.options, self.keep_past = model, batch, options, keep_past

    # ---- what a user calls -------------------------------------------------------------------------------

    def encode(
        self, observations: Any = None, *, fit: Literal["exact", "crop"] = "exact", rewind: int = 16, seed: int = 0
    ) -> Branch:
        """The root of a tree of futures: the observations' whole chunks (the newest 32), committed to a context.

        ``observations`` may be anything that ``observed`` takes; branches can go ``rewind`` chunks back.

        Raises:
            UserError: observations of another kind or size, or too few.
        """
        given = observed(self.model, observations, fit)
        session = self.model.session(
            seed, "nothing" if given.media is None else given.media, start_actions=given.actions, rewind=rewind,
            **self.options,
        )  # fmt: skip
        return Branch(session)

    def forecast(
        self,
        observations: Any = None,
        actions: Any = None,
        horizon: int = 32,
        samples: int = 8,
        seed: int = 0,
        note: Note | None = None,
    ) -> Forecast:
        """``samples`` futures of ``horizon`` frames, all going on from the same observations (or from a ``Branch``).

        ``actions`` are a script ``"w-40,wd-20"``, names or ids of one per frame, or an array (samples, frames) of ids;
        None leaves in force what is. Sample ``i`` draws from a seed of its own, ``forecast.seeds[i]``, and is what it
        would be alone. ``note`` is told now and then how many frames there are of all samples together, and ends it
        early by returning True: what is left then are the samples that have come furthest.

        Raises:
            UserError: bad observations or actions, or a count below 1.
        """
        for name, count in (("samples", samples), ("horizon", horizon)):
            if not isinstance(count, int | np.integer) or isinstance(count, bool) or count < 1:
                raise UserError(f"{name} must be a whole number of 1 or more, got {count!r}")
        ids = future_actions(self.model, actions, samples, horizon)
        root = observations if isinstance(observations, Branch) else self.encode(observations, rewind=0, seed=seed)
        seeds = [mixed_seed(seed, sample) for sample in range(samples)]
        made: list[list[Tensor]] = []
        most = [Held()] * self._chunks(horizon)
        stopped = False
        for first in range(0, samples, self.batch):
            group = leaves(root, seeds[first : first + self.batch], self.keep_past)
            before = sum(min(len(part) * self.model.frames_per_chunk, horizon) for part in made)
            turn = None if note is None else lambda frames, before=before: note(before + frames)
            parts, held, stopped = self._roll(group, None if ids is None else ids[first:], horizon, turn, root.session)
            made += parts
            most = [max(pair, key=lambda one: one.total) for pair in zip(most, held, strict=True)]
            if stopped:
                break
        whole = max(len(part) for part in made)
        kept = [n for n, part in enumerate(made) if len(part) == whole]
        latents = torch.stack([torch.cat(made[n])[: self._latent_frames(horizon)] for n in kept])
        frames, past = min(horizon, whole * self.model.frames_per_chunk), held_by([root.session]).total
        ids, kept_seeds = None if ids is None else ids[kept], tuple(seeds[n] for n in kept)
        told = self.model.card.residuals
        return Forecast(latents, frames, self.model.codec, ids, kept_seeds, past, tuple(most), told)

    def step(self, branches: Branch | Sequence[Branch], actions: Any = None, frames: int | None = None) -> Forecast:
        """Move branches on by ``frames`` (whole chunks; None: one) in place, all in one batch: a closed loop's step.

        ``actions`` are one id or name for all of these frames, one for each branch (N,), or ids (N, frames). Returns
        what was made, with the branches as samples.

        Raises:
            UserError: no branches, bad actions, or frames that are no whole chunks.
        """
        branches = [branches] if isinstance(branches, Branch) else list(branches)
        chunk = self.model.frames_per_chunk
        frames = chunk if frames is None else frames
        if not branches or frames < 1 or frames % chunk:
            raise UserError(
                f"a step moves 1 branch or more by whole chunks of {chunk} frames, "
                f"got {len(branches)} branches and {frames} frames"
            )
        ids = future_actions(self.model, self._held(actions, len(branches), frames), len(branches), frames)
        sessions = [branch.session for branch in branches]
        latents: list[Tensor] = []
        for first in range(0, len(sessions), self.batch):
            turn = None if ids is None else ids[first:]
            parts, _, _ = self._roll(sessions[first : first + self.batch], turn, frames)
            latents += [torch.cat(part) for part in parts]
        held = held_by(sessions)
        seeds = tuple(session.state.seed for session in sessions)
        # without residuals: these count from the observations, and a branch may be far from them
        return Forecast(torch.stack(latents), frames, self.model.codec, ids, seeds, held.total, (held,))

    def restore(self, path: str | Path) -> Branch:
        """The branch that was saved with ``Branch.snapshot``."""
        return Branch(self.model.restore(path))

    # ---- inside ------------------------------------------------------------------------------------------

    def _held(self, actions: Any, branches: int, frames: int) -> Any:
        """One action, or one per branch, held for all frames of a step."""
        if actions is None or (isinstance(actions, str) and ("-" in actions or "," in actions)):
            return actions
        if isinstance(actions, str | int | np.integer):
            actions = [actions] * branches
        if np.ndim(actions) != 1:
            return actions
        if len(actions) != branches:
            raise UserError(f"a step takes one action for each of {branches} branches, got {len(actions)}")
        return [[one] * frames for one in actions]

    def _latent_frames(self, frames: int) -> int:
        return -(-frames // int(getattr(self.model.codec, "frames_per_latent", 1)))

    def _chunks(self, frames: int) -> int:
        return -(-frames // self.model.frames_per_chunk)

    def _roll(
        self,
        group: Sequence[Session],
        ids: Ids | None,
        frames: int,
        note: Note | None = None,
        past: Session | None = None,
    ) -> tuple[list[list[Tensor]], list[Held], bool]:
        """The clean chunks of sessions denoised together, what contexts held after each, and whether it was ended.

        With ``past``, what they have gone on from, its context is counted too, and the sessions are freed.
        """
        per_chunk, chunks = self.model.frames_per_chunk, self._chunks(frames)
        parts: list[list[Tensor]] = [[] for _ in group]
        most, stopped = [Held()] * chunks, False
        holders = group if past is None else [past, *group]
        for session, row in zip(group, () if ids is None else ids, strict=False):
            session.send("action", np.pad(row, (0, chunks * per_chunk - frames), "edge").tolist())
        late = [session for session in group if session.state.pending]
        if 0 < len(late) < len(group) and group[0].schedule.commit is CommitMode.EXTRA_PASS:
            advance(late)  # their commit alone: from here on all are in step
        while not stopped and (behind := [i for i, part in enumerate(parts) if len(part) < chunks]):
            events = advance([group[i] for i in behind])
            for i, fresh in zip(behind, events, strict=True):
                parts[i].extend(event.payload for event in fresh)
            if any(events):
                most[max(map(len, parts)) - 1] = held_by(holders)
                stopped = note is not None and bool(note(sum(min(len(part) * per_chunk, frames) for part in parts)))
        for session in () if past is None else group:
            session.close()
        return parts, most, stopped
