"""Worlds as Gymnasium environments; importing this registers unreel/Dream-v0, unreel/Doom-v0 and unreel/Bigfish-v0.

import gymnasium, unreel.envs
env = gymnasium.make("unreel/Dream-v0", horizon=60, render_mode="rgb_array")
worlds = gymnasium.make_vec("unreel/Dream-v0", num_envs=8)      # dreamt as one batch
real = gymnasium.make("unreel/Bigfish-v0", horizon=60)          # the game that `dream` was filmed from
"""

from __future__ import annotations

from unreel.engine.errors import UserError

try:
    import gymnasium
except ImportError:
    raise UserError("environments need gymnasium: pip install 'unreel[gym]'") from None

from unreel.envs.dream import DreamEnv
from unreel.envs.real import BigfishEnv
from unreel.envs.vector import DreamVectorEnv

__all__ = ["BigfishEnv", "DreamEnv", "DreamVectorEnv"]

for _name in ("dream", "doom"):
    gymnasium.register(
        f"unreel/{_name.capitalize()}-v0",
        entry_point="unreel.envs.dream:DreamEnv",
        vector_entry_point="unreel.envs.vector:DreamVectorEnv",
        kwargs={"model": _name},
    )
gymnasium.register("unreel/Bigfish-v0", entry_point="unreel.envs.real:BigfishEnv")
