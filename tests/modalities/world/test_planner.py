"""The planner in worlds whose best plan is known."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
import pytest

from unreel.engine.errors import UserError
from unreel.modalities.world.planner import Planner, PlannerConfig

MOVES = np.array([(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0)])


class Grid:
    """A walker (B, 2) on a plane with a pit; ``rollout`` returns its places (B, S, horizon, 2)."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, ...]] = []

    def rollout(self, info: Mapping[str, Any], action_candidates: np.ndarray) -> np.ndarray:
        self.calls.append(action_candidates.shape)
        return info["place"][:, None, None] + MOVES[action_candidates[..., 0]].cumsum(2)


def near(goal: tuple[int, int], pit: tuple[int, int] | None = None) -> Any:
    """Less distance to the goal at the end is better; who steps into the pit gets nothing."""

    def score(places: np.ndarray) -> np.ndarray:
        value = -np.abs(places[:, :, -1] - goal).sum(-1).astype(float)
        fallen = (places == pit).all(-1).any(-1) if pit is not None else np.zeros(value.shape, bool)
        return np.where(fallen, -100.0, value)

    return score


def test_it_finds_the_optimum_of_every_situation_in_a_batch() -> None:
    config = PlannerConfig(horizon=5, candidates=64, iterations=6, elites=8, held=False, seed=1)
    info = {"place": np.array([[0, 0], [7, 2], [3, -1]])}
    score = near((3, 2))
    plan = Planner(Grid(), score, len(MOVES), config).plan(info, batch=3)
    every = np.array(list(product(range(5), repeat=5)))[None]
    for b in range(3):
        one = {"place": info["place"][b : b + 1]}
        assert plan.scores[b] == score(Grid().rollout(one, every[..., None])).max()
    assert plan.scores.tolist() == [0.0, 0.0, 0.0]


def test_it_goes_round_a_pit() -> None:
    config = PlannerConfig(horizon=6, candidates=300, iterations=8, elites=20, smoothing=0.4, seed=2)
    plan = Planner(Grid(), near((0, 4), pit=(0, 2)), len(MOVES), config).plan({"place": np.array([[0, 0]])})
    assert plan.scores[0] == 0.0
    places = Grid().rollout({"place": np.array([[0, 0]])}, plan.actions[:, None, :, None])
    assert not (places == (0, 2)).all(-1).any()


def test_iterations_help_and_never_lose_the_best() -> None:
    goal, place = near((6, 5)), {"place": np.array([[0, 0]])}
    found = []
    for iterations in (1, 2, 5):
        config = PlannerConfig(horizon=11, candidates=30, iterations=iterations, elites=4, held=False, seed=3)
        found.append(Planner(Grid(), goal, len(MOVES), config).plan(place).scores[0])
    assert found == sorted(found)
    assert found[-1] > found[0]


def test_every_action_held_is_tried_and_all_candidates_are_one_rollout() -> None:
    world = Grid()
    config = PlannerConfig(horizon=3, candidates=7, iterations=2)
    plan = Planner(world, near((0, 3)), len(MOVES), config).plan({"place": np.array([[0, 0]])})
    assert plan.actions.tolist() == [[1, 1, 1]]
    assert world.calls == [(1, 7, 3, 1)] * 2


def test_acting_step_by_step_arrives_and_the_next_plan_begins_with_the_rest() -> None:
    planner = Planner(Grid(), near((4, 3)), len(MOVES), PlannerConfig(horizon=4, candidates=24, iterations=3, seed=5))
    place = np.array([[0, 0]])
    for _ in range(6):
        taken = planner.act({"place": place}, steps=2)
        assert taken.shape == (2,)
        place = place + MOVES[taken].sum(0)
    assert place.tolist() == [[4, 3]]
    assert planner.last is not None
    assert planner.last.shape == (1, 4)


def test_plans_are_decided_by_the_seed() -> None:
    info = {"place": np.array([[0, 0]])}
    config = PlannerConfig(horizon=6, candidates=10, held=False, seed=4)
    planner = Planner(Grid(), near((3, 3)), len(MOVES), config)
    first = planner.plan(info)
    again = planner.plan(info)
    planner.reset()
    assert (planner.plan(info).candidates == first.candidates).all()
    assert (again.candidates != first.candidates).any()
    assert (again.candidates[:, 0] == first.actions).all()


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"horizon": 0}, "counts of 1 or more"),
        ({"elites": 20}, "no more elites than candidates"),
        ({"smoothing": 1.0}, "in 0..1"),
    ],
)
def test_bad_configurations_are_told(wrong: dict[str, Any], match: str) -> None:
    with pytest.raises(UserError, match=match):
        PlannerConfig(**wrong)


def test_scores_of_another_shape_are_told() -> None:
    planner = Planner(Grid(), lambda places: np.zeros(3), len(MOVES))
    with pytest.raises(UserError, match="scores are needed"):
        planner.plan({"place": np.array([[0, 0]])})
