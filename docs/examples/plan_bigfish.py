"""Planning in a dream, acting in the game it was dreamt from. The cells run one by one in an editor, or all together:

    pip install 'unreel[gym,bench]'
    python docs/examples/plan_bigfish.py [FOLDER FOR THE PICTURES] [FOLDER OF THE GAME'S ENVIRONMENT]

The game is Procgen bigfish; its virtual environment (it needs NumPy < 2) is made once, in ~/.cache/unreel by default.
"""

# %% What is needed
import sys
from pathlib import Path

import gymnasium
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import unreel.envs
from unreel.envs.planning import PlannedPolicy
from unreel.envs.worlds import Dreaming
from unreel.modalities.world.planner import PlannerConfig

out = Path(sys.argv[1] if sys.argv[1:] else "out")
venv = sys.argv[2] if sys.argv[2:] else None
out.mkdir(parents=True, exist_ok=True)

# %% A dream is an environment like any other: four worlds as one batch, each with keys of its own
worlds = gymnasium.make_vec("unreel/Dream-v0", num_envs=4, steps=1)
frames, _ = worlds.reset(seed=7)
columns = [frames]
for _ in range(8):
    frames, rewards, ended, cut, _ = worlds.step(np.array([1, 2, 3, 4]))  # w, a, s, d held
    columns.append(frames)

figure, axes = plt.subplots(4, len(columns), figsize=(1.2 * len(columns), 5))
for row, key in zip(range(4), "wasd", strict=True):
    for column, frames in enumerate(columns):
        axes[row, column].imshow(frames[row])
        axes[row, column].set_axis_off()
    axes[row, 0].set_title(key, loc="left", fontsize=9)
figure.savefig(out / "dreams.png", dpi=120, bbox_inches="tight")

# %% The same steps in the real game, by a policy that plans in the dream
dreaming = Dreaming("dream", steps=1)
policy = PlannedPolicy(dreaming, PlannerConfig(horizon=4, candidates=10), commit=2)
game = unreel.envs.BigfishEnv(horizon=60, venv=venv)

plans, film, earned = [], [], [0.0]
plan_of = policy.planner.plan
policy.planner.plan = lambda info, batch=1: plans.append(plan_of(info, batch)) or plans[-1]  # keep them, to look at

_, info = game.reset(seed=2)
over = False
while not over:
    film += list(info["frames"])
    _, reward, ended, cut, info = game.step(np.int64(policy.act(info["frames"])))
    earned.append(earned[-1] + reward)
    over = ended or cut
print(f"level {2}: {earned[-1]:.0f} fish in {len(earned) - 1} steps, {'eaten' if ended else 'alive'}")

# %% What it weighed up: the dreams of one plan, best and worst, and what the head expects of each
plan = max(plans, key=lambda one: np.ptp(one.candidate_scores))
order = plan.candidate_scores[0].argsort()[::-1]
shown = [*order[:3], *order[-2:]]
figure, axes = plt.subplots(len(shown), 1, figsize=(9, 1.3 * len(shown)))
for axis, index in zip(axes, shown, strict=True):
    axis.imshow(np.concatenate(list(plan.rolled["frames"][0, index]), axis=1))
    keys = " ".join(dreaming.model.actions[action] for action in plan.candidates[0, index])
    axis.set_title(f"{keys}: {plan.candidate_scores[0, index]:.2f}", loc="left", fontsize=9)
    axis.set_axis_off()
figure.savefig(out / "plan.png", dpi=120, bbox_inches="tight")

# %% The episode: what was seen every eighth frame, fish eaten, and what each plan expected
figure = plt.figure(figsize=(10, 5))
for column, index in enumerate(range(0, len(film), max(1, len(film) // 14))[:14]):
    axis = figure.add_subplot(3, 14, column + 1)
    axis.imshow(film[index])
    axis.set_title(str(index), fontsize=8)
    axis.set_axis_off()
axis = figure.add_subplot(3, 1, (2, 3))
axis.step(range(len(earned)), earned, where="post", label="fish eaten")
axis.plot(np.arange(len(plans)) * policy.commit, [one.scores[0] for one in plans], label="expected by the plan")
axis.set_xlabel("step (two frames)")
axis.legend()
figure.savefig(out / "episode.png", dpi=120, bbox_inches="tight")
game.close()
worlds.close()
