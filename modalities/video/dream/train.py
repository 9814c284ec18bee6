"""`unreel train dream`: film the game, train, export. Begins again where it was cut off."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from unreel.engine.errors import UserError
from unreel.engine.model import Model, load_model
from unreel.modalities.video.dream.collect import TEST_LEVELS, Shoot, collect
from unreel.modalities.video.dream.data import load_shards
from unreel.modalities.video.dream.export import export, export_seeds
from unreel.modalities.video.dream.reward_train import train_reward
from unreel.modalities.video.dream.trainer import TrainConfig, Trainer

WEIGHTS = Path(__file__).parents[1] / "weights"
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "8000000000", "MALLOC_TRIM_THRESHOLD_": "16000000000"}  # glibc: 10-15 %


def main(arguments: Sequence[str]) -> None:
    """The command line of `unreel train dream`."""
    parser = argparse.ArgumentParser(prog="unreel train dream", description=__doc__)
    parser.add_argument("--out", default="out/train-dream", help="folder for checkpoints, log and the exported model")
    parser.add_argument("--data", default="", help="folder of filmed shards; default: OUT/data, filmed if empty")
    parser.add_argument("--minutes", type=float, default=120.0, help="length of the training, resumptions included")
    parser.add_argument("--threads", type=int, default=1, help="threads of each worker")
    parser.add_argument("--workers", type=int, default=2, help="trainers that average their weights now and then")
    parser.add_argument("--shards", type=int, default=5, help="training shards to film, 64,000 frames each (0.8 GB)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--warm", default="", help="checkpoint or shipped .safetensors to begin from")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="NAME=NUMBER", help="other settings: rate=3e-4 ema=0.997 entry=2.6"
    )
    parser.add_argument(
        "--reward", action="store_true", help="train the reward head alone, for OUT/model or the shipped"
    )
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    wish = parser.parse_args(list(arguments))
    if wish.worker:
        Trainer(TrainConfig(**json.loads(wish.worker))).run()
        return
    out, more = Path(wish.out), numbers(wish.set)
    if wish.reward:
        judge(out)
        return
    data = Path(wish.data) if wish.data else out / "data"
    film(data, out / "collector-venv", wish.shards)
    config = TrainConfig(
        str(data), str(out), wish.minutes, wish.threads, workers=wish.workers, seed=wish.seed, warm=wish.warm, **more
    )
    train(config)
    export(out / "checkpoint.pt", out / "model")
    export_seeds(load_shards(data, "test")[0], out / "model" / "dream_seeds.safetensors")
    judge(out)
    print(f"exported to {out / 'model'}: load it with unreel.load({str(out / 'model')!r})")


def numbers(words: Sequence[str]) -> dict[str, Any]:
    """Settings of ``TrainConfig`` that are numbers with a fraction, from words like ``rate=3e-4``.

    Raises:
        UserError: an unknown setting, or no number.
    """
    known = [f.name for f in fields(TrainConfig) if isinstance(f.default, float) and f.name != "minutes"]
    found = {}
    for word in words:
        name, _, number = word.partition("=")
        try:
            found[name] = float(number)
        except ValueError:
            name = ""
        if name not in known:
            raise UserError(f"--set takes NAME=NUMBER with a name of {', '.join(known)}; got {word!r}")
    return found


def judge(out: Path) -> None:
    """Train the reward head of the model in ``out``, or of the shipped one where there is none yet."""
    own = out / "model" / "model.yaml"
    shipped = Path(str(files("unreel.configs"))) / "models" / "dream.yaml"
    model: Model = load_model(own, own.parent) if own.exists() else load_model(shipped, WEIGHTS)
    record = train_reward(model, out / "model", out / "collector-venv")
    print(f"reward head: {json.dumps(record['held_out'])} in {out / 'model' / 'dream_reward.safetensors'}")


def film(data: Path, venv: Path, shards: int) -> None:
    """Film what is missing: ``shards`` training shards and one of held-out levels."""
    data.mkdir(parents=True, exist_ok=True)
    wanted = [Shoot(str(data / f"train{i}"), seed=i + 1) for i in range(shards)]
    wanted.append(Shoot(str(data / "test0"), steps=400, seed=77, start_level=TEST_LEVELS, levels=5000))
    for shoot in wanted:
        if not Path(shoot.out + ".npz").exists():
            print(f"filming {shoot.out}: {shoot.streams} games of {shoot.steps} frames", flush=True)
            collect(venv, shoot)


def train(config: TrainConfig) -> None:
    """Run all workers to the end; the first one's checkpoint counts."""
    module = [sys.executable, "-m", "unreel.modalities.video.dream.train"]
    environment = {**os.environ, **KEEP_MEMORY}
    jobs = [[*module, "--worker", json.dumps(asdict(replace(config, rank=rank)))] for rank in range(config.workers)]
    workers = [subprocess.Popen(job, env=environment) for job in jobs]
    try:
        failed = [rank for rank, worker in enumerate(workers) if worker.wait()]
    finally:
        for worker in workers:
            worker.terminate()
    if failed:
        raise SystemExit(f"trainer {failed[0]} of {config.workers} failed; its error is above")


if __name__ == "__main__":
    main(sys.argv[1:])
