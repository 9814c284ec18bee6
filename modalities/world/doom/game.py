"""The game behind `doom`: ViZDoom's `my_way_home`, textured rooms of Freedoom, furnished, seen through a player's eyes.

The rooms as they come are empty walls: torches, candelabra, barrels and medikits in their corners, always the same, and
a field of view of 110 degrees give a view that has something in it.

Needs the package `vizdoom` (MIT; it brings Freedoom, BSD): ``pip install unreel[train]``.
"""

from __future__ import annotations

import math
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from unreel.engine.errors import UserError
from unreel.modalities.world.network import CLASSES

# Keys held, in the order of the model's action ids: w forward, s back, a and d turn.
KEYS = ("none", "w", "s", "a", "d", "wa", "wd")
HEIGHT, WIDTH = 56, 80
SKIP = 3  # tics of 1/35 s that a decision lasts
FPS = 35 / SKIP
HELD_OUT = 10_000  # episode seeds from here on are for testing only
CUT = 4  # rows of the game's 120 left out at the top and at the bottom, which leaves whole cells
CEILING, FLOOR, WALL, THING = range(len(CLASSES))
VIEW = 110  # degrees
ROOMS = ((232, -176), (520, -176), (736, -176), (520, 40), (736, 40), (1096, 40), (520, -464))  # centres, map units
CORNER = 50  # from a room's centre to its things, in x and in y
TORCH, CANDLES, BARREL, MEDIKIT = "GreenTorch", "Candelabra", "ExplosiveBarrel", "Medikit"
RADIUS = {TORCH: 16, CANDLES: 16, BARREL: 10, MEDIKIT: 20}
FURNITURE = (  # of every room, at 45, 135, 225 and 315 degrees from its centre
    (TORCH, "", BARREL, ""), ("", CANDLES, "", MEDIKIT), (BARREL, "", "", TORCH), (CANDLES, MEDIKIT, "", ""),
    ("", BARREL, TORCH, ""), ("", TORCH, CANDLES, ""), (MEDIKIT, "", CANDLES, BARREL),
)  # fmt: skip


@dataclass(frozen=True)
class Sight:
    """One moment: uint8 ``rgb`` (56, 80, 3) and ``segmentation`` (56, 80), numbers of `CLASSES`; ``depth`` uint8 (56,
    80) in steps of the game's buffer, along the viewing direction; ``place`` float32 (3,): x and y in map units and
    the angle in degrees, counter-clockwise."""

    rgb: NDArray[np.uint8]
    segmentation: NDArray[np.uint8]
    depth: NDArray[np.uint8]
    place: NDArray[np.float32]


class Playable(Protocol):
    """What is played: the real game, or a made-up one in tests."""

    def reset(self, seed: int) -> Sight:
        """Begin the episode of a seed."""
        ...

    def step(self, action: int) -> tuple[Sight, float, bool]:
        """Hold an action for one decision: what is seen then, the reward, and whether the episode is over."""
        ...


class Doom:
    """The real game, without a window or sound. An episode ends at the vest (reward 1) or after 2,100 tics.

    Raises:
        UserError: ViZDoom is not installed.
    """

    def __init__(self) -> None:
        try:
            import vizdoom
        except ImportError:
            raise UserError("playing Doom needs ViZDoom: pip install 'unreel[train]'") from None
        game = self.game = vizdoom.DoomGame()
        game.load_config(str(Path(vizdoom.scenarios_path) / "my_way_home.cfg"))
        game.set_window_visible(False)
        game.set_mode(vizdoom.Mode.PLAYER)
        game.set_screen_resolution(vizdoom.ScreenResolution.RES_160X120)
        game.set_screen_format(vizdoom.ScreenFormat.RGB24)
        game.set_labels_buffer_enabled(True)
        game.set_depth_buffer_enabled(True)
        button, variable = vizdoom.Button, vizdoom.GameVariable
        game.set_available_buttons([button.MOVE_FORWARD, button.MOVE_BACKWARD, button.TURN_LEFT, button.TURN_RIGHT])
        game.set_available_game_variables([variable.POSITION_X, variable.POSITION_Y, variable.ANGLE])
        game.add_available_button(button.TURN_LEFT_RIGHT_DELTA)
        game.add_game_args("+sv_cheats 1")  # things are put up by the console
        self.folder = TemporaryDirectory(prefix="unreel-doom-")  # the game leaves files where it is begun
        with chdir(self.folder.name):
            game.init()

    def reset(self, seed: int) -> Sight:
        self.game.set_seed(seed)
        self.game.new_episode()
        self._furnish()
        self.sight = sight_of(self.game.get_state())
        return self.sight

    def step(self, action: int) -> tuple[Sight, float, bool]:
        """The last moment of an episode shows what was seen before: the game draws nothing after its end."""
        held = KEYS[action].replace("none", "")
        reward = float(self.game.make_action([*(int(key in held) for key in "wsad"), 0], SKIP))
        over = bool(self.game.is_episode_finished())
        if not over:
            self.sight = sight_of(self.game.get_state())
        return self.sight, reward, over

    def _furnish(self) -> None:
        """Put the things where they belong, and the player back to where the episode began.

        The game puts a thing in front of the player, ``32 + 2 * radius`` away.
        """
        game = self.game
        x, y, angle = game.get_state().game_variables
        for corner in range(4):
            facing = math.radians(45 + 90 * corner)
            self._face(math.degrees(facing))
            for (room_x, room_y), things in zip(ROOMS, FURNITURE, strict=True):
                if things[corner]:
                    away = CORNER * math.sqrt(2) - 32 - 2 * RADIUS[things[corner]]
                    stand = round(room_x + away * math.cos(facing)), round(room_y + away * math.sin(facing))
                    game.send_game_command(f"warp {stand[0]} {stand[1]}")
                    game.send_game_command(f"summon {things[corner]}")
                    game.advance_action(1)
        self._face(angle)
        game.send_game_command(f"warp {round(x)} {round(y)}")
        game.send_game_command(f"fov {VIEW}")
        game.make_action([0] * 5, 2)

    def _face(self, degrees: float) -> None:
        """Turn the player to an angle."""
        self.game.make_action([0, 0, 0, 0, self.game.get_state().game_variables[2] - degrees], 1)

    def close(self) -> None:
        self.game.close()
        self.folder.cleanup()


def sight_of(state: Any) -> Sight:
    """A state of the game at half its pixels: colours averaged, the rest picked.

    The labels buffer says 1 for floors and ceilings, 0 for walls, and something higher for things; a flat part above
    the middle of the picture is the ceiling, for the player looks straight ahead.
    """
    inner = slice(CUT, 120 - CUT)
    colours = state.screen_buffer[inner].astype(np.uint16).reshape(HEIGHT, 2, WIDTH, 2, 3)
    labels = state.labels_buffer[inner][::2, ::2]
    flat = np.where(np.arange(HEIGHT)[:, None] < HEIGHT // 2, CEILING, FLOOR)
    classes = np.where(labels > 1, THING, np.where(labels == 1, flat, WALL))
    return Sight(
        ((colours.sum((1, 3)) + 2) // 4).astype(np.uint8),
        classes.astype(np.uint8),
        state.depth_buffer[inner][::2, ::2].copy(),
        np.asarray(state.game_variables, np.float32),
    )
