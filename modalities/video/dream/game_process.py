"""The game behind `dream` on the far side of a pipe. Runs in the collector's virtual environment, not in this one.

Requests on stdin are ``REQUEST``: RESET with a level, ACT with an action id of the model's keys. Each is answered on
stdout with ``REPLY`` (reward, whether the episode ended) and one picture, 64 x 64 x 3 bytes. ``HELLO`` comes first; the
end of stdin ends the process. Numbers are little-endian, nothing is pickled. At import this file needs the standard
library only.
"""

from __future__ import annotations

import os
import struct
import sys
import tempfile
from pathlib import Path

HELLO = b"unreel bigfish 1\n"
REQUEST = struct.Struct("<Bq")
REPLY = struct.Struct("<dB")
RESET, ACT = 0, 1
SIZE = 64


def serve() -> None:
    """Answer requests until stdin ends. One level at a time, so a level and the actions decide everything."""
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever the game's libraries print goes to stderr
    import numpy as np
    from collect import GAME_ACTION, art  # type: ignore[import-not-found]  # beside this script
    from procgen import ProcgenGym3Env

    pipe.write(HELLO)
    pipe.flush()
    with tempfile.TemporaryDirectory() as folder:
        root, game = art(Path(folder)), None
        while len(request := sys.stdin.buffer.read(REQUEST.size)) == REQUEST.size:
            kind, value = REQUEST.unpack(request)
            if kind == RESET:
                game = ProcgenGym3Env(
                    num=1, env_name="bigfish", distribution_mode="easy", restrict_themes=True, start_level=value,
                    num_levels=1, rand_seed=0, use_backgrounds=True, num_threads=0, resource_root=root,
                )  # fmt: skip
            else:
                assert game is not None, "reset comes before the first action"
                game.act(np.array([GAME_ACTION[value]]))
            reward, seen, first = game.observe()
            earned = (0.0, False) if kind == RESET else (float(reward[0]), bool(first[0]))
            pipe.write(REPLY.pack(*earned) + seen["rgb"][0].tobytes())
            pipe.flush()


if __name__ == "__main__":
    serve()
