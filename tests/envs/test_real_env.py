"""The real game's environment and its pipe, against a process that only speaks the protocol."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from unreel.engine.errors import UserError
from unreel.envs import BigfishEnv
from unreel.modalities.video.dream.game import Game

FAKE = [sys.executable, str(Path(__file__).with_name("fake_game.py"))]


@pytest.fixture
def env() -> Iterator[BigfishEnv]:
    made = gymnasium.make("unreel/Bigfish-v0", horizon=3, command=FAKE, render_mode="rgb_array").unwrapped
    assert isinstance(made, BigfishEnv)
    yield made
    made.close()


def test_the_checker_is_content(env: BigfishEnv) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env, skip_render_check=True)


def test_a_step_holds_the_action_for_two_frames(env: BigfishEnv) -> None:
    seen, info = env.reset(seed=1, options={"level": 12})
    assert info["level"] == 12
    assert (seen == 12).all()
    seen, reward, ended, cut, info = env.step(np.int64(4))
    assert [int(frame[0, 0, 0]) for frame in info["frames"]] == [17, 22]
    assert (seen == 22).all()
    assert (reward, ended, cut) == (2.0, False, False)


def test_the_end_and_the_horizon(env: BigfishEnv) -> None:
    env.reset(seed=1)
    _, _, ended, cut, info = env.step(np.int64(8))
    assert (ended, cut) == (True, False)
    assert (info["frames"][0] == info["frames"][1]).all(), "nothing is played on after the end"
    with pytest.raises(UserError, match="call reset first"):
        env.step(np.int64(0))
    env.reset()
    assert [env.step(np.int64(0))[3] for _ in range(3)] == [False, False, True]


def test_seeds_pick_held_out_levels(env: BigfishEnv) -> None:
    levels = [env.reset(seed=seed)[1]["level"] for seed in (1, 2, 1)]
    assert levels[0] == levels[2] != levels[1]
    assert all(10_000 <= level < 15_000 for level in levels)
    with pytest.raises(UserError, match="option level"):
        env.reset(options={"start": 1})


def test_a_game_that_crashes_says_so() -> None:
    env = BigfishEnv(command=[*FAKE, "crash"])
    env.reset(seed=1)
    with pytest.raises(UserError, match="ended by itself"):
        env.step(np.int64(7))
    with pytest.raises(UserError, match="make a new one"):
        env.reset()


def test_something_else_than_the_game_is_told() -> None:
    with pytest.raises(UserError, match="does not run the game"):
        Game(command=[sys.executable, "-c", "print('hello, I am no game at all')"])
    with pytest.raises(UserError, match="ended by itself"):
        Game(command=[sys.executable, "-c", ""])
