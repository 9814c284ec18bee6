"""The game behind `dream`, played from here: Procgen `bigfish` in a process of its own (it needs NumPy < 2)."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from unreel.engine.errors import UserError
from unreel.modalities.media.frames import Frames
from unreel.modalities.video.dream.collect import ensure_venv
from unreel.modalities.video.dream.game_process import ACT, HELLO, REPLY, REQUEST, RESET, SIZE

VENV = Path.home() / ".cache" / "unreel" / "procgen-venv"


class Game:
    """One game: ``reset`` begins a level, ``act`` makes one frame. ``close`` ends the process.

    ``venv`` is the folder of the game's virtual environment, made there when it is missing (pip, once). ``command`` is
    what to run instead, for tests.

    Raises:
        UserError: the process does not start, or ends by itself.
    """

    def __init__(self, venv: Path | str | None = None, command: Sequence[str] | None = None) -> None:
        if command is None:
            script = Path(__file__).with_name("game_process.py").resolve()
            try:
                command = [str(ensure_venv(Path(venv or VENV))), "-W", "ignore", str(script)]
            except (subprocess.CalledProcessError, OSError) as error:
                raise UserError(
                    f"the game's environment cannot be made in {venv or VENV}: {error}; it needs pip and procgen-mirror"
                ) from None
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        if self._read(len(HELLO)) != HELLO:
            self.close()
            raise UserError(
                f"{command[0]} does not run the game: expected its greeting; try it by hand, it may say why"
            )

    def reset(self, level: int) -> Frames:
        """The first frame (64, 64, 3) of a level."""
        return self._ask(RESET, level)[0]

    def act(self, action: int) -> tuple[Frames, float, bool]:
        """The frame (64, 64, 3) that an action id leads to, the reward, and whether the episode ended.

        The game draws no last picture: after the end the frame is the first of the same level, begun again.
        """
        return self._ask(ACT, action)

    def close(self) -> None:
        """End the process; harmless when it is gone."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:  # what was not sent any more
                    pass
        try:
            self.process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _ask(self, kind: int, value: int) -> tuple[Frames, float, bool]:
        assert self.process.stdin is not None, "the process has pipes"
        try:
            self.process.stdin.write(REQUEST.pack(kind, value))
            self.process.stdin.flush()
        except (OSError, ValueError):
            raise UserError("the game has ended (closed, or it crashed): make a new one") from None
        reward, ended = REPLY.unpack(self._read(REPLY.size))
        picture = np.frombuffer(self._read(SIZE * SIZE * 3), np.uint8).reshape(SIZE, SIZE, 3)
        return picture.copy(), reward, bool(ended)

    def _read(self, count: int) -> bytes:
        assert self.process.stdout is not None, "the process has pipes"
        got = self.process.stdout.read(count)
        if len(got) < count:
            self.close()
            raise UserError("the game has ended by itself (it crashed, or its environment is broken): make a new one")
        return got
