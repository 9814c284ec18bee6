"""Planning in the dreams of the tiny model: what is dreamt, what it is worth, and a policy that goes on by it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from unreel.benchmarks import plan
from unreel.engine.errors import UserError
from unreel.engine.model import Model
from unreel.envs import BigfishEnv
from unreel.envs.planning import DreamRollouts, ExpectedReturn, PlannedPolicy
from unreel.envs.worlds import Dreaming
from unreel.modalities.video.dream.reward import DISCOUNT, Judged
from unreel.modalities.world.planner import PlannerConfig

FAKE = [sys.executable, str(Path(__file__).with_name("fake_game.py"))]


class Counting:
    """A head that reads its answers off the pictures: the fish are the brightness of the chunk's last frame."""

    def __init__(self, ended: float = 0.0, value: float = 0.0) -> None:
        self.ended, self.value = ended, value

    def judge(self, seen: torch.Tensor) -> Judged:
        bright = seen[:, 2].float().mean((1, 2)) / 255  # the fish of the last frame
        return Judged(bright, torch.full_like(bright, self.ended), torch.full_like(bright, self.value))


def film(*fish: bool) -> np.ndarray:
    """Two frames per chunk, all fish or all water."""
    colour = np.where(np.array(fish)[:, None], (255, 0, 255), (0, 0, 0)).astype(np.uint8)
    return np.broadcast_to(colour.repeat(2, axis=0)[:, None, None], (2 * len(fish), 64, 64, 3))


def test_returns_count_fish_while_alive_and_the_value_at_the_end() -> None:
    rolled = {"frames": np.stack([[film(True, False, True), film(False, False, False)]]), "before": film(False)[:1]}
    share = float(np.mean(_inside()))
    plain = ExpectedReturn(Counting())(rolled)  # type: ignore[arg-type]
    assert plain[0].tolist() == pytest.approx([share * (1 + DISCOUNT**2), 0.0])
    risky = ExpectedReturn(Counting(ended=0.5, value=2.0))(rolled)  # type: ignore[arg-type]
    last = 0.5**3 * DISCOUNT**3 * 2.0
    assert risky[0].tolist() == pytest.approx([share * (0.5 + 0.125 * DISCOUNT**2) + last, last])


def _inside() -> np.ndarray:
    """Where the square around the place where episodes begin lies in the picture."""
    ys, xs = np.mgrid[58 - 24 : 58 + 24, 14 - 24 : 14 + 24]
    return (ys >= 0) & (ys < 64) & (xs >= 0) & (xs < 64)


def test_candidates_go_on_from_what_was_seen(dreaming: Dreaming) -> None:
    frames = np.random.default_rng(1).integers(0, 256, (2, 4, 8, 8, 3), dtype=np.uint8)
    info = {"frames": frames, "actions": np.array([[0, 0, 1, 1], [2, 2, 3, 3]])}
    candidates = np.array([[[1, 2], [3, 3], [1, 2]], [[0, 4], [4, 4], [1, 1]]])
    rolled = DreamRollouts(dreaming, seed=3).rollout(info, candidates[..., None])
    assert rolled["frames"].shape == (2, 3, 4, 8, 8, 3)
    assert (rolled["before"] == frames[:, -1]).all()
    seen = {"observations": frames[1], "actions": info["actions"][1]}
    root = dreaming.forecaster.encode(seen, seed=3)
    alone = dreaming.forecaster.step(root, np.array([[0, 0, 4, 4]]), 4)["rgb"]
    assert np.abs(alone[0].astype(int) - rolled["frames"][1, 0]).max() <= 1
    with pytest.raises(UserError, match="candidates are ids"):
        DreamRollouts(dreaming).rollout(info, candidates)


def test_a_policy_plans_only_as_often_as_it_must(dreaming: Dreaming) -> None:
    with pytest.raises(UserError, match="no reward head"):
        PlannedPolicy(dreaming, PlannerConfig())
    dreaming.head = Counting()  # type: ignore[assignment]
    policy = PlannedPolicy(dreaming, PlannerConfig(horizon=3, candidates=6), commit=2)
    seen: list[Any] = []
    policy.planner.world.rollout = lambda info, tried: seen.append(info) or {  # type: ignore[method-assign]
        "frames": np.stack([[film(*(row[:, 0] == 3)) for row in tried[0]]]), "before": film(False)[:1],
    }  # fmt: skip
    frames = np.zeros((2, 64, 64, 3), np.uint8)
    assert [policy.act(frames + i) for i in range(9)] == [3] * 9
    assert [info["frames"].shape[1] for info in seen] == [2, 6, 10, 12, 12]
    assert seen[1]["actions"].tolist() == [[0, 0, 3, 3, 3, 3]]
    assert seen[-1]["frames"][0, -1].max() == 8


def test_it_plays_the_game_from_its_pictures(seeded: Callable[..., Model]) -> None:
    keys = ["none", "w", "a", "s", "d", "wa", "wd", "as", "sd"]
    model = seeded(
        media={"fps": 15, "height": 64, "width": 64}, conditions={"action": {"keys": keys}},
        architecture={"class": "patch-dit", "channels": 12, "patch": 4, "width": 16, "depth": 1, "heads": 1,
                      "actions": 9},
    )  # fmt: skip
    dreaming = Dreaming(model, steps=1, head=Counting())  # type: ignore[arg-type]
    policy = PlannedPolicy(dreaming, PlannerConfig(horizon=1, candidates=5, elites=2, held=False), commit=1)
    env = BigfishEnv(2, command=FAKE)
    found = [
        plan.episode(env, act, seed) for seed, act in ((0, policy.act), (1, lambda frames: 4), (1, lambda frames: 8))
    ]
    env.close()
    assert found[0]["steps"] in (1, 2)
    assert (found[1]["score"], found[1]["steps"], found[1]["eaten"]) == (4, 2, False)
    assert (found[2]["score"], found[2]["steps"], found[2]["eaten"]) == (0, 1, True)
    results = plan.summary({"planner": found[1:2], "random": found[2:]}, plan.QUICK)
    assert results["policies"]["random"]["planner_minus"]["mean"] == 4


def test_bootstrap_intervals_hold_the_mean() -> None:
    values = np.random.default_rng(0).poisson(2.0, 50).astype(float)
    found = plan.mean_interval(values)
    half = 1.96 * values.std() / len(values) ** 0.5
    assert found["mean"] == pytest.approx(values.mean(), abs=1e-3)
    assert found["low"] == pytest.approx(values.mean() - half, abs=0.06)
    assert found["high"] == pytest.approx(values.mean() + half, abs=0.06)
