"""Films the game: plays Procgen `bigfish` with several policies and writes frames and actions.

Procgen needs NumPy < 2, so the playing half runs in a virtual environment of its own
(`ensure_venv`), started by `collect`. This file is that environment's script as well: at import it
needs nothing but the standard library.

What is written, per shard: `NAME.frames.npy` uint8 (stream, time, 64, 64, 3) and `NAME.npz` with
`action` int8 (stream, time), the action that led TO that frame, `first` bool (an episode begins
here) and `level` int32 (the level seed). Levels from 10,000 on are for testing only.

The backdrop is one picture for every level: the reef of the game's own art, cropped square and
scaled once with a good filter. Everything else is the game as it is.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

# Keys held, in the order of the model's action ids, and the game's own number for each.
KEYS = ("none", "w", "a", "s", "d", "wa", "wd", "as", "sd")
GAME_ACTION = (4, 5, 1, 3, 7, 2, 8, 0, 6)
DIRECTION = ((0, 0), (-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))  # (y, x)
TEST_LEVELS = 10_000
BACKDROP, BACKDROP_LEFT = "underwater1.png", 0.62
REQUIREMENTS = ("procgen-mirror==0.10.7", "numpy<2", "pillow")


@dataclass(frozen=True)
class Shoot:
    """One shard: `streams` games side by side for `steps` frames each."""

    out: str
    streams: int = 64
    steps: int = 1000
    start_level: int = 0
    levels: int = TEST_LEVELS
    seed: int = 0
    tiers: tuple[float, ...] = (0.35, 0.5, 0.15)  # shares of wanderers, dodgers and idlers

    def __post_init__(self) -> None:
        if self.start_level < TEST_LEVELS < self.start_level + self.levels:
            raise ValueError(f"levels must not cross {TEST_LEVELS}, where the held-out ones begin")


def ensure_venv(folder: Path) -> Path:
    """Make the collector's environment in `folder` if it is missing; returns its python."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    probe = subprocess.run([python, "-c", "import procgen"], capture_output=True)
    if probe.returncode:
        subprocess.run([python, "-m", "pip", "install", "-q", *REQUIREMENTS], check=True)
    return python


def collect(venv: Path, shoot: Shoot) -> None:
    """Run one shoot inside the collector's environment."""
    command = [ensure_venv(venv), Path(__file__).resolve(), "--out", shoot.out]
    for name in ("streams", "steps", "start_level", "levels", "seed"):
        command += [f"--{name.replace('_', '-')}", str(getattr(shoot, name))]
    subprocess.run([str(part) for part in command], check=True)


def art(folder: Path) -> str:
    """A copy (links) of the game's art in which every water picture is the one backdrop."""
    import procgen
    from PIL import Image

    original = Path(procgen.__file__).parent / "data" / "assets"
    for source in original.iterdir():
        if source.name != "water_backgrounds":
            (folder / source.name).symlink_to(source)
    water = original / "water_backgrounds"
    (folder / water.name).mkdir()
    picture = Image.open(water / BACKDROP).convert("RGB")
    left = int((picture.width - picture.height) * BACKDROP_LEFT)
    square = picture.crop((left, 0, left + picture.height, picture.height))
    square = square.resize((64, 64), Image.Resampling.LANCZOS)
    for source in water.iterdir():
        square.save(folder / water.name / source.name)
    return str(folder) + os.sep


class Policies:
    """Sticky random moves; dodgers weigh them by how much pink fish lies in each direction."""

    def __init__(self, shoot: Shoot) -> None:
        import numpy as np

        self.np, self.rng = np, np.random.default_rng(shoot.seed)
        self.kind = self.rng.choice(3, shoot.streams, p=shoot.tiers)
        self.action = np.zeros(shoot.streams, np.int64)
        self.left = np.zeros(shoot.streams, np.int64)

    def __call__(self, frames):  # type: ignore[no-untyped-def]
        np, rng = self.np, self.rng
        for i in np.nonzero(self.left == 0)[0]:
            if self.kind[i] == 1:
                self.action[i], self.left[i] = self.dodge(frames[i]), rng.integers(2, 7)
            else:
                idle = 0.6 if self.kind[i] == 2 else 0.12
                self.action[i] = 0 if rng.random() < idle else rng.integers(1, 9)
                self.left[i] = rng.integers(2, 16)
        self.left -= 1
        return self.action.copy()

    def dodge(self, frame) -> int:  # type: ignore[no-untyped-def]
        np, rng = self.np, self.rng
        red, green, blue = (frame[..., c].astype(int) for c in range(3))
        pink = (red > 170) & (blue > 170) & (green < 190) & (red > green + 35)
        ys, xs = np.nonzero((green > red + 70) & (green > blue + 50) & (red < 70))
        if not len(ys):
            return int(rng.integers(0, 9))
        fish_y, fish_x = np.nonzero(pink)
        score = rng.gumbel(size=9) * 0.7
        for a, (dy, dx) in enumerate(DIRECTION):
            y, x = ys.mean() + 7 * dy, xs.mean() + 7 * dx
            score[a] -= 0.15 * (np.hypot(fish_y - y, fish_x - x) < 9).sum()
            score[a] -= 3.0 * (not (3 < y < 60 and 3 < x < 60))
        return int(score.argmax())


def film(shoot: Shoot) -> None:
    """Play and write one shard. Runs inside the collector's environment."""
    import numpy as np
    from procgen import ProcgenGym3Env

    with tempfile.TemporaryDirectory() as folder:
        game = ProcgenGym3Env(
            num=shoot.streams, env_name="bigfish", distribution_mode="easy", restrict_themes=True,
            start_level=shoot.start_level, num_levels=shoot.levels, rand_seed=shoot.seed,
            use_backgrounds=True, num_threads=1, resource_root=art(Path(folder)),
        )  # fmt: skip
        policies = Policies(shoot)
        size = (shoot.streams, shoot.steps)
        frames = np.lib.format.open_memmap(shoot.out + ".frames.npy", "w+", np.uint8, (*size, 64, 64, 3))
        action, first, level = np.zeros(size, np.int8), np.zeros(size, bool), np.zeros(size, np.int32)
        taken = np.zeros(shoot.streams, np.int64)
        for t in range(shoot.steps):
            _, seen, begins = game.observe()
            frames[:, t], action[:, t], first[:, t] = seen["rgb"], taken, begins
            level[:, t] = [info["level_seed"] for info in game.get_info()]
            taken = policies(seen["rgb"])
            game.act(np.array(GAME_ACTION)[taken])
    frames.flush()
    np.savez(shoot.out + ".npz", action=action, first=first, level=level)


def main() -> None:
    parser = argparse.ArgumentParser(description="Film Procgen bigfish into one shard.")
    parser.add_argument("--out", required=True)
    for name, default in (("streams", 64), ("steps", 1000), ("start-level", 0), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--levels", type=int, default=TEST_LEVELS)
    film(Shoot(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
