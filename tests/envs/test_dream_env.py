"""Single and batched dreams as environments, on the tiny model."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import unreel.envs  # noqa: F401  registers
from unreel.engine.errors import UserError
from unreel.engine.model import Model
from unreel.envs import DreamEnv, DreamVectorEnv
from unreel.envs.worlds import Dreaming, Moment
from unreel.modalities.video.dream.reward import RewardHead

SCRIPT = (1, 4, 4, 0, 2)


def played(env: DreamEnv, actions: Any = SCRIPT) -> np.ndarray:
    return np.stack([env.step(np.int64(action))[4]["frames"] for action in actions])


def test_the_checker_is_content(dreaming: Dreaming) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(DreamEnv(dreaming=dreaming, render_mode="rgb_array"), skip_render_check=True)
        env = gymnasium.make("unreel/Dream-v0", dreaming=dreaming, horizon=3, render_mode="rgb_array")
        check_env(env.unwrapped)


def test_a_step_is_a_chunk_and_the_horizon_cuts_it(dreaming: Dreaming) -> None:
    env = DreamEnv(dreaming=dreaming, horizon=3, render_mode="rgb_array")
    first, info = env.reset(seed=1)
    assert info["frames"].shape == (2, 8, 8, 3)
    assert (first == info["frames"][-1]).all()
    ends = []
    for action in SCRIPT[:3]:
        seen, reward, ended, cut, info = env.step(np.int64(action))
        assert (seen == info["frames"][-1]).all()
        assert (env.render() == seen).all()
        assert (reward, ended) == (0.0, False)
        ends.append(cut)
    assert ends == [False, False, True]


def test_the_dream_is_that_of_a_session_with_the_same_seed(dreaming: Dreaming) -> None:
    env = DreamEnv(dreaming=dreaming)
    env.reset(seed=5, options={"start": 2})
    seed = env._now().branch.session.state.seed
    session = dreaming.model.session(seed, 2, steps=2, actions=[a for a in SCRIPT for _ in range(2)])
    wanted = np.stack([event.payload for event in session.stream(chunks=len(SCRIPT))])
    assert (played(env) == wanted).all()


def test_seeds_decide_everything(dreaming: Dreaming) -> None:
    env, other = DreamEnv(dreaming=dreaming), DreamEnv(dreaming=dreaming)
    films = []
    for one, seed in ((env, 3), (other, 3), (env, 4), (env, 3)):
        one.reset(seed=seed)
        films.append(played(one))
    assert (films[0] == films[1]).all()
    assert (films[0] == films[3]).all()
    assert (films[0] != films[2]).any()
    env.reset()
    assert (played(env) != films[3]).any(), "without a seed the random stream goes on"


def test_snapshots_and_forks_go_on_from_their_moment(dreaming: Dreaming) -> None:
    env = DreamEnv(dreaming=dreaming)
    env.reset(seed=2)
    played(env, (1, 3))
    kept, fork = env.snapshot(), env.fork()
    film = played(env)
    assert (played(fork) == film).all()
    seen, _ = env.restore(kept)
    assert (seen == kept.frames[-1]).all()
    assert (played(env, (2, 2)) != film[:2]).any()
    env.restore(kept)
    assert (played(env) == film).all()
    assert env._now().made == 2 + len(SCRIPT)


def test_worlds_in_a_batch_are_what_they_are_alone(dreaming: Dreaming) -> None:
    worlds = DreamVectorEnv(3, dreaming=dreaming, horizon=4)
    singles = [DreamEnv(dreaming=dreaming, horizon=4) for _ in range(3)]
    seen, info = worlds.reset(seed=7)
    assert info["frames"].shape == (3, 2, 8, 8, 3)
    assert (seen == np.stack([env.reset(seed=7 + i)[0] for i, env in enumerate(singles)])).all()
    rng = np.random.default_rng(0)
    over = [False] * 3
    for _ in range(7):  # beyond the horizon: all begin anew
        actions = rng.integers(0, 5, 3)
        seen, reward, ended, cut, info = worlds.step(actions)
        for i, env in enumerate(singles):
            alone = (*env.reset()[:1], 0.0, False, False) if over[i] else env.step(actions[i])[:4]
            assert np.abs(alone[0].astype(int) - seen[i]).max() <= 1
            assert alone[1:] == (reward[i], ended[i], cut[i])
            over[i] = alone[2] or alone[3]


def test_one_world_may_begin_anew_among_others(dreaming: Dreaming, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, calls = Dreaming.step, []

    def eats(self: Dreaming, worlds: Any, actions: Any) -> Any:
        moved, moment = plain(self, worlds, actions)
        calls.append(len(worlds))
        return moved, Moment(moment.frames, moment.reward + 1, np.array([a == 4 for a in actions]))

    monkeypatch.setattr(Dreaming, "step", eats)
    worlds, single = DreamVectorEnv(2, dreaming=dreaming), DreamEnv(dreaming=dreaming)
    worlds.reset(seed=0)
    single.reset(seed=1)
    script = ((4, 1), (0, 2), (3, 3), (1, 0))
    films = [worlds.step(np.array(actions)) for actions in script]
    assert [list(film[2]) for film in films] == [[True, False], [False, False], [False, False], [False, False]]
    assert [list(film[1]) for film in films] == [[1, 1], [0, 1], [1, 1], [1, 1]]
    assert calls == [2, 1, 2, 2]
    alone = played(single, [b for _, b in script])
    assert np.abs(alone.astype(int) - np.stack([film[4]["frames"][1] for film in films])).max() <= 1


def test_vector_environments_are_made_by_name_restored_and_rendered(dreaming: Dreaming) -> None:
    worlds = gymnasium.make_vec("unreel/Dream-v0", num_envs=2, dreaming=dreaming, render_mode="rgb_array").unwrapped
    assert isinstance(worlds, DreamVectorEnv)
    worlds.reset(seed=1)
    kept = worlds.snapshot()
    film = worlds.step(np.array([1, 2]))[4]["frames"]
    assert (np.stack(worlds.render()) == film[:, -1]).all()
    worlds.restore(kept)
    assert (worlds.step(np.array([1, 2]))[4]["frames"] == film).all()
    with pytest.raises(UserError, match="restored from as many"):
        worlds.restore(kept[:1])


def test_a_head_gives_rewards(seeded: Callable[..., Model]) -> None:
    model = seeded(media={"fps": 10, "height": 64, "width": 64}, context={"class": "window", "recent": 1})
    head = RewardHead(width=8).eval()
    head.head[-1].weight.data.zero_()
    head.head[-1].bias.data.copy_(__import__("torch").tensor([-1.0, 2.0, 0.0]))
    env = DreamEnv(model, steps=1, head=head)
    env.reset(seed=0)
    _, reward, ended, _, _ = env.step(np.int64(1))
    assert reward == pytest.approx(np.exp(-1), rel=1e-5)
    assert ended is True


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda d: DreamEnv("nowhere"), "unknown model"),
        (lambda d: DreamEnv(dreaming=d, horizon=0), "horizon must be 1"),
        (lambda d: DreamVectorEnv(0, dreaming=d), "num_envs must be 1"),
        (lambda d: DreamEnv(dreaming=d).step(np.int64(0)), "call reset first"),
        (lambda d: DreamEnv(dreaming=d).reset(options={"level": 3}), "takes the option start"),
        (lambda d: DreamEnv(dreaming=d).reset(options={"start": 9}), "seed clips 0 to 2"),
    ],
)
def test_bad_input_is_told_in_one_line(dreaming: Dreaming, make: Callable[[Dreaming], Any], match: str) -> None:
    with pytest.raises(UserError, match=match):
        make(dreaming)


def test_actions_outside_the_space_are_refused(dreaming: Dreaming) -> None:
    env, worlds = DreamEnv(dreaming=dreaming), DreamVectorEnv(2, dreaming=dreaming)
    env.reset(seed=0)
    worlds.reset(seed=0)
    with pytest.raises(UserError, match=r"0\.\.4"):
        env.step(np.int64(5))
    with pytest.raises(UserError, match="expected 2 actions"):
        worlds.step(np.array([1, 7]))


def test_an_episode_ends_where_the_models_ending_says_so(seeded: Callable[..., Model]) -> None:
    """No player is ever seen in what the tiny model makes."""
    dreaming = Dreaming(seeded(ending={"class": "player", "lost": 3}), steps=2)
    env = DreamEnv(dreaming=dreaming)
    env.reset(seed=1)
    ends = [env.step(np.int64(1))[2]]
    kept, fork = env.snapshot(), env.fork()
    for one in (env, fork):
        assert [one.step(np.int64(1))[2] for _ in range(2)] == [False, True]
    env.restore(kept)
    ends += [env.step(np.int64(1))[2] for _ in range(2)]
    assert ends == [False, False, True]
    assert env._now().branch.session.stats.restarts == 0
    env.reset()
    assert env.step(np.int64(1))[2] is False, "a new world is judged anew"
    worlds = DreamVectorEnv(2, dreaming=dreaming)
    worlds.reset(seed=1)
    assert [worlds.step(np.array([1, 1]))[2].tolist() for _ in range(4)] == [[False] * 2] * 2 + [
        [True] * 2,
        [False] * 2,
    ]
    assert not worlds.over.any()
