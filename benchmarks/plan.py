"""Planning in the dream, played in the real game behind it: fish eaten per episode, beside random and a script."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unreel.benchmarks import _clock
from unreel.benchmarks._parts import plain
from unreel.benchmarks._tables import caption, markdown, setting
from unreel.engine.model import Model
from unreel.modalities.media.frames import Frames
from unreel.modalities.video.dream.hunter import Sticky, hunt
from unreel.modalities.world.planner import PlannerConfig

RESAMPLES = 10_000
Act = Callable[[Frames], int]  # from the frames of the last step to an action id


@dataclass(frozen=True)
class Size:
    """How much is played, and how it is planned. Episodes are cut after ``horizon`` steps of two frames; each plan is
    carried out for ``commit`` steps; ``steps`` are the sampler's. Seeds are counted from
    ``first``: levels by which nothing was chosen."""

    episodes: int = 50
    first: int = 100
    horizon: int = 60
    steps: int = 1
    commit: int = 2
    planner: PlannerConfig = field(default_factory=lambda: PlannerConfig(horizon=4, candidates=10))


QUICK = Size(episodes=3)


def run(quick: bool = False, model: Model | None = None, data: Path | None = None, size: Size | None = None) -> Any:
    """Play the same levels with every policy. ``data`` is the folder of the game's virtual environment (made once)."""
    from unreel.envs import BigfishEnv
    from unreel.envs.planning import PlannedPolicy
    from unreel.envs.worlds import Dreaming

    size = size or (QUICK if quick else Size())
    dreaming = Dreaming(model or "dream", size.steps)
    planned = PlannedPolicy(dreaming, size.planner, size.commit)

    def planner(seed: int) -> Act:
        planned.reset()
        return planned.act

    policies: dict[str, Callable[[int], Act]] = {
        "planner": planner,
        "random": lambda seed: _random(seed),
        "random, keys held": lambda seed: _last(Sticky(seed)),
        "no key": lambda seed: lambda frames: 0,
        "script: nearest smaller fish": lambda seed: _last(hunt),
    }
    env = BigfishEnv(size.horizon, data)
    try:
        with _clock.measuring():
            played = {
                name: [episode(env, make(seed), seed) for seed in range(size.first, size.first + size.episodes)]
                for name, make in policies.items()
            }
    finally:
        env.close()
    return plain(summary(played, size) | {"setting": setting(), **asdict(size), "model": dreaming.model.name})


def _random(seed: int) -> Act:
    rng = np.random.default_rng(seed)
    return lambda frames: int(rng.integers(9))


def _last(policy: Act) -> Act:
    """A policy that looks at single frames."""
    return lambda frames: policy(frames[-1])


def episode(env: Any, act: Act, seed: int) -> dict[str, float]:
    """Play one level: its score, steps, whether the player was eaten, and seconds of thinking."""
    _, info = env.reset(seed=seed)
    score, steps, seconds, ended, cut = 0.0, 0, 0.0, False, False
    while not (ended or cut):
        began = time.perf_counter()
        action = act(info["frames"])
        seconds += time.perf_counter() - began
        _, reward, ended, cut, info = env.step(np.int64(action))
        score, steps = score + reward, steps + 1
    print(f"level {seed}: {score:.0f} in {steps} steps, {seconds:.1f} s", file=sys.stderr, flush=True)
    return {"score": score, "steps": steps, "eaten": ended, "seconds": seconds}


def summary(played: dict[str, list[dict[str, float]]], size: Size) -> dict[str, Any]:
    """Per policy the mean score with its confidence interval, and what the planner has over each on the same levels."""
    scores = {name: np.array([e["score"] for e in episodes]) for name, episodes in played.items()}
    rows: dict[str, Any] = {}
    for name, episodes in played.items():
        rows[name] = {
            "score": mean_interval(scores[name]),
            "planner_minus": mean_interval(scores["planner"] - scores[name]),
            "eaten": float(np.mean([e["eaten"] for e in episodes])),
            "steps": float(np.mean([e["steps"] for e in episodes])),
            "seconds_per_step": sum(e["seconds"] for e in episodes) / sum(e["steps"] for e in episodes),
            "scores": scores[name].tolist(),
        }
    return {"policies": rows}


def mean_interval(values: NDArray[np.float64], seed: int = 0) -> dict[str, float]:
    """Mean and its 95 % confidence interval: the bootstrap's percentiles (Efron 1979), over ``RESAMPLES`` draws."""
    rng = np.random.default_rng(seed)
    means = values[rng.integers(len(values), size=(RESAMPLES, len(values)))].mean(1)
    low, high = np.percentile(means, (2.5, 97.5))
    return {"mean": round(float(values.mean()), 3), "low": round(float(low), 3), "high": round(float(high), 3)}


def _span(found: dict[str, float]) -> str:
    return f"{found['mean']:.2f} ({found['low']:.2f} to {found['high']:.2f})"


def table(results: dict[str, Any]) -> str:
    """One line per policy."""
    head = ("policy", "fish eaten (95 %)", "planner has more (95 %)", "eaten itself", "steps", "seconds per step")
    body = [
        (
            name, _span(row["score"]), "" if name == "planner" else _span(row["planner_minus"]),
            f"{100 * row['eaten']:.0f} %", f"{row['steps']:.0f}", f"{row['seconds_per_step']:.3f}",
        )
        for name, row in results["policies"].items()
    ]  # fmt: skip
    planner = results["planner"]
    told = (
        f"{results['episodes']} held-out levels, cut after {results['horizon']} steps of 2 frames; plans of "
        f"{planner['horizon']} steps, {planner['candidates']} candidates, {planner['iterations']} iteration(s), "
        f"{results['commit']} carried out. {caption(results['setting'])}"
    )
    return f"{markdown(head, body)}\n\n{told}"
