"""The frozen settings of one session: what ``Model.session`` made of the model's card and the caller's wishes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from unreel.engine.context.storage import Storage
from unreel.engine.errors import UserError
from unreel.engine.guidance import Guidance
from unreel.engine.interfaces import ContextPolicy, Ending, Plan, ReusePolicy, Sampler
from unreel.engine.prompt import PromptSwitch
from unreel.engine.sampler.times import Grid
from unreel.engine.schedule import Schedule
from unreel.engine.types import CommitMode


@dataclass(frozen=True)
class Settings:
    """``rewind`` chunks can be gone back to; ``storage`` is the form that contexts are kept in and
    ``budget_bytes`` the most they may hold, all branches together (None: no limit).

    ``decode`` False makes the clean latents themselves the payload of events, for who decodes some of them later.
    ``ending`` says when the world is over and the session begins anew (None: never).
    ``options`` are the plain words all this was made from, for snapshots.
    """

    seed: int
    plan: Plan
    schedule: Schedule
    sampler: Sampler
    grid: Grid
    context: ContextPolicy
    reuse: ReusePolicy
    guidance: Guidance = field(default_factory=Guidance)
    prompt_switch: PromptSwitch = PromptSwitch()
    rewind: int = 16
    storage: Storage = Storage()
    budget_bytes: int | None = None
    decode: bool = True
    ending: Ending | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.seed, int):
            raise UserError(f"a seed is a whole number, got {self.seed!r}")
        if self.rewind < 0:
            raise UserError(f"rewind is a number of chunks, 0 or more, got {self.rewind}")
        if self.budget_bytes is not None and self.budget_bytes < 1:
            raise UserError(f"budget_bytes must be 1 or more, got {self.budget_bytes}")
        self.grid.times(self.schedule.steps)
        if self.schedule.commit is CommitMode.NEVER and not hasattr(self.context, "kept"):
            raise UserError("commit 'never' computes a window again each step: use the context `window` or `full`")

    @property
    def keeping(self) -> tuple[Storage, int | None]:
        """The storage and the budget of one branch's context."""
        budget = None if self.budget_bytes is None else self.budget_bytes // len(self.guidance.branches)
        return self.storage, budget

    def recomputed(self, chunks: Sequence[int]) -> Sequence[int]:
        """With commit mode ``never``: the finished chunks (rising indices) that every step computes again."""
        kept: Sequence[int] = self.context.kept(chunks)  # type: ignore[attr-defined]
        return kept
