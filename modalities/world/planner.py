"""Model-predictive control by the cross-entropy method over dreamt rollouts.

Letters: B plans made together, S candidates of each, A numbers per action. A world is anything with
``rollout(info, action_candidates[B, S, horizon, A])``, the protocol of stable-worldmodel; here A is 1 and an action is
the id of a discrete one. What ``rollout`` returns goes to a ``score`` function as it is. Knows no pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from unreel.engine.errors import UserError

Info = Mapping[str, Any]
Score = Callable[[Any], NDArray[np.floating[Any]]]  # what rollout returned -> returns (B, S); more is better


class World(Protocol):
    """What can be planned in."""

    def rollout(self, info: Info, action_candidates: NDArray[np.int64]) -> Any: ...


@dataclass(frozen=True)
class PlannerConfig:
    """``candidates`` are dreamt in each of ``iterations``; the best ``elites`` shape the next.

    ``smoothing`` is how much of the old distribution is kept, ``persistence`` the chance that a drawn action is that
    of the step before. ``held``: the first iteration tries every action held all along as well.
    """

    horizon: int = 4
    candidates: int = 12
    iterations: int = 1
    elites: int = 3
    smoothing: float = 0.1
    persistence: float = 0.5
    held: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        counts = (self.horizon, self.candidates, self.iterations, self.elites)
        if min(counts) < 1 or self.elites > self.candidates:
            raise UserError(f"a planner needs counts of 1 or more and no more elites than candidates, got {self}")
        if not (0 <= self.smoothing < 1 and 0 <= self.persistence < 1):
            raise UserError(f"smoothing and persistence lie in 0..1, got {self.smoothing} and {self.persistence}")


@dataclass(frozen=True, eq=False)
class Plan:
    """The best candidates met: ``actions`` (B, horizon) with their ``scores`` (B,), and all that were tried last:
    ``candidates`` (B, S, horizon) with ``candidate_scores`` (B, S), and what ``rollout`` made of them."""

    actions: NDArray[np.int64]
    scores: NDArray[np.float64]
    candidates: NDArray[np.int64]
    candidate_scores: NDArray[np.float64]
    rolled: Any


class Planner:
    """Plans in ``world`` with actions 0 to ``actions`` - 1. It keeps its last plan, as what the next begins with.

    The cross-entropy method for sequences of discrete actions: a table of probabilities per step, fitted to the elites
    (Rubinstein 1999; de Boer et al. 2005, "A Tutorial on the Cross-Entropy Method").
    """

    def __init__(self, world: World, score: Score, actions: int, config: PlannerConfig | None = None) -> None:
        self.world, self.score, self.actions = world, score, actions
        self.config = config or PlannerConfig()
        self.reset()

    def reset(self) -> None:
        """Forget the last plan and begin the random stream anew."""
        self.rng = np.random.default_rng(self.config.seed)
        self.last: NDArray[np.int64] | None = None

    def plan(self, info: Info, batch: int = 1) -> Plan:
        """The best of the candidates of all iterations, for each of ``batch`` situations that ``info`` holds."""
        config = self.config
        table = np.full((batch, config.horizon, self.actions), 1.0 / self.actions)
        best: NDArray[np.int64] | None = self.last
        best_scores = np.full(batch, -np.inf)
        for iteration in range(config.iterations):
            tried = self._candidates(table, best, first=iteration == 0)
            rolled = self.world.rollout(info, tried[..., None])
            scores = np.asarray(self.score(rolled), np.float64)
            if scores.shape != tried.shape[:2]:
                raise UserError(f"scores are needed for candidates {tried.shape[:2]}, got {scores.shape}")
            top = scores.argmax(1)
            found, found_scores = _take(tried, top), _take(scores, top)
            better = found_scores > best_scores
            best = found if best is None or iteration == 0 else np.where(better[:, None], found, best)
            best_scores = np.where(better, found_scores, best_scores)
            table = self._fitted(table, tried, scores)
        assert best is not None, "there is one iteration or more"
        self.last = best
        return Plan(best, best_scores, tried, scores, rolled)

    def act(self, info: Info, steps: int = 1) -> NDArray[np.int64]:
        """The first ``steps`` actions (steps,) of a plan for one situation; the next plan begins with the rest."""
        actions = self.plan(info).actions
        self.last = np.concatenate([actions[:, steps:], actions[:, -1:].repeat(min(steps, actions.shape[1]), 1)], 1)
        return actions[0, :steps]

    def _candidates(self, table: NDArray[np.float64], best: NDArray[np.int64] | None, first: bool) -> NDArray[np.int64]:
        """Sequences (B, S, horizon): the best known, every action held (at first), and drawn ones."""
        config, (batch, horizon, _) = self.config, table.shape
        drawn = np.empty((batch, config.candidates, horizon), np.int64)
        edges = table.cumsum(-1)
        for t in range(horizon):
            drawn[..., t] = (self.rng.random((batch, config.candidates, 1)) > edges[:, None, t, :-1]).sum(-1)
            if t:
                stay = self.rng.random((batch, config.candidates)) < config.persistence
                drawn[..., t] = np.where(stay, drawn[..., t - 1], drawn[..., t])
        given = [] if best is None or len(best) != batch else [best[:, None]]
        if first and config.held:
            held = np.arange(self.actions)[None, :, None]
            given.append(np.broadcast_to(held, (batch, self.actions, horizon)))
        if given:
            known = np.concatenate(given, axis=1)[:, : config.candidates]
            drawn[:, : known.shape[1]] = known
        return drawn

    def _fitted(
        self, table: NDArray[np.float64], tried: NDArray[np.int64], scores: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The table (B, horizon, actions) moved to how often the elites took each action."""
        elite = np.argsort(-scores, axis=1, kind="stable")[:, : self.config.elites]
        chosen = np.take_along_axis(tried, elite[:, :, None], axis=1)
        share = (chosen[..., None] == np.arange(self.actions)).mean(1)
        return self.config.smoothing * table + (1 - self.config.smoothing) * share


def _take(array: NDArray[Any], index_B: NDArray[np.int64]) -> NDArray[Any]:
    """Row ``index_B[b]`` of every batch entry of (B, S, ...)."""
    return array[np.arange(len(index_B)), index_B]
