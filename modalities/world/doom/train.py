"""`unreel train doom`: play the game, learn features, learn to forecast them, export. Goes on where it was cut off."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from unreel.engine.errors import UserError
from unreel.engine.learner import Pace
from unreel.engine.model import Model, load_model
from unreel.engine.shipping import write_card
from unreel.modalities.world.calibration import residuals
from unreel.modalities.world.doom.codec_trainer import CODEC, CodecTrainer, latents_of, measured
from unreel.modalities.world.doom.collect import collect
from unreel.modalities.world.doom.data import Played, load_played, starts_of
from unreel.modalities.world.doom.export import CHECKPOINTS, export
from unreel.modalities.world.doom.game import KEYS
from unreel.modalities.world.doom.sheet import sheet
from unreel.modalities.world.doom.trainer import Trainer
from unreel.modalities.world.forecaster import Forecaster

WEIGHTS = Path(__file__).parents[1] / "weights"
OBSERVED, AHEAD = 16, 32  # frames of the windows that uncertainty is calibrated on
STAGES = ("data", "codec", "flow", "regression", "export")
NET_SIZES: dict[str, Any] = {"actions": len(KEYS), "frames": 2, "base": 128, "width": 256, "depth": 5, "heads": 4}


def main(arguments: Sequence[str]) -> None:
    """The command line of `unreel train doom`."""
    parser = argparse.ArgumentParser(prog="unreel train doom", description=__doc__)
    parser.add_argument("--out", default="out/train-doom", help="folder for checkpoints, logs and exported models")
    parser.add_argument("--data", default="", help="folder of played shards; default: OUT/data, played if empty")
    parser.add_argument("--shards", type=int, default=7, help="training shards to play, about 8,000 frames each")
    parser.add_argument("--codec-minutes", type=float, default=12.0, help="training of the codec, resumptions included")
    parser.add_argument("--minutes", type=float, default=24.0, help="training of the flow, resumptions included")
    parser.add_argument("--regression-minutes", type=float, help="of the regression; default: as long; 0: none")
    parser.add_argument("--stage", choices=("all", *STAGES), default="all", help="do this part only")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--warm", action="store_true", help="begin from the shipped weights, not from nothing")
    parser.add_argument("--commit", default="", help="of the code, for the model cards' records")
    wish = parser.parse_args(list(arguments))
    twin = wish.minutes if wish.regression_minutes is None else wish.regression_minutes
    if min(wish.codec_minutes, wish.minutes) <= 0 or twin < 0 or min(wish.threads, wish.shards) < 1:
        raise UserError("--codec-minutes and --minutes are above 0, --threads and --shards 1 or more")
    torch.set_num_threads(wish.threads)
    minutes = {"codec": wish.codec_minutes, "flow": wish.minutes, "regression": twin}
    stages = STAGES if wish.stage == "all" else (wish.stage,)
    out = Path(wish.out)
    data, warm = Path(wish.data) if wish.data else out / "data", WEIGHTS if wish.warm else None
    train(data, out, stages, minutes, wish.shards, wish.seed, wish.commit, warm=warm)


def train(
    data: Path, out: Path, stages: Sequence[str], minutes: Mapping[str, float], shards: int, seed: int = 0,
    commit: str = "", codec_sizes: Mapping[str, int] | None = None, net_sizes: Mapping[str, Any] = NET_SIZES,
    warm: Path | None = None,
) -> None:  # fmt: skip
    """The ``stages`` in their order; tells what was made. ``warm``: the folder of shipped weights to begin from."""
    if warm and not (out / CODEC).exists():
        out.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(warm / "doom-codec.safetensors", out / CODEC)
    if "data" in stages:
        collect(data, shards)
    if "codec" in stages and not (out / CODEC).exists():
        CodecTrainer(load_played(data), pace(minutes["codec"]), out, codec_sizes or {}, seed=seed).run()
        print(f"codec on held-out frames: {json.dumps(measured(out / CODEC, load_played(data, 'test')))}", flush=True)
    for name in ("flow", "regression"):
        if name in stages and minutes[name]:
            played = load_played(data)
            latents = latents_of(out, played)
            action, episode = played.action, played.seed
            del played
            sizes = {**net_sizes, "blind": name == "regression"}
            began = began_with(name, warm) if warm else None
            Trainer(latents, action, episode, pace(minutes[name]), out, name, sizes, seed=seed, began=began).run()
    if "export" in stages:
        held_out = load_played(data, "test")
        for model, checkpoint in CHECKPOINTS.items():
            if (out / checkpoint).exists():
                export(out, model, out / model, held_out, commit=commit)
                print(f"exported to {out / model}: load it with unreel.load({str(out / model)!r})")
        if (out / "doom").exists():
            calibrate(_loaded(out / "doom"), load_played(data), out / "doom" / "model.yaml")
        found = {model: _loaded(out / model) for model in CHECKPOINTS if (out / model).exists()}
        if found:
            sheet(found, held_out, out / "sheet.png")


def calibrate(model: Model, played: Played, card: Path, windows: int = 24, samples: int = 8) -> None:
    """Measure on episodes of the training what error the spread of futures does not tell, and write it into a card."""
    starts = starts_of(played.seed, OBSERVED + AHEAD, every=OBSERVED)
    starts = starts[np.linspace(0, len(starts) - 1, min(windows, len(starts))).astype(int)]
    forecaster, futures, truths = Forecaster(model), [], []
    for n, start in enumerate(starts):
        seen, later = slice(start, start + OBSERVED), slice(start + OBSERVED, start + OBSERVED + AHEAD)
        past = {"observations": played.frames[seen], "actions": played.action[seen].astype(np.int64)}
        futures.append(forecaster.forecast(past, played.action[later].astype(np.int64), AHEAD, samples, seed=n))
        truths.append({"rgb": played.frames[later], "depth": played.depth[later]})
    write_card(card, {"residuals": residuals(futures, truths)}, ("residuals",))


def began_with(name: str, weights: Path) -> dict[str, Any]:
    """The file of shipped weights of ``flow`` or ``regression``, and how long they had been trained."""
    model = next(model for model, checkpoint in CHECKPOINTS.items() if checkpoint == f"{name}.pt")
    card = yaml.safe_load((files("unreel.configs") / "models" / f"{model}.yaml").read_text(encoding="utf-8"))
    record = {key: card["training"][key] for key in ("steps", "minutes", "codec", "commit")}
    return {"weights": str(weights / f"{model}.safetensors"), **record}


def _loaded(folder: Path) -> Model:
    return load_model(folder / "model.yaml", folder)


def pace(minutes: float) -> Pace:
    """The pace of every stage."""
    return Pace(minutes, 1e-3, decay_from=0.5, ema=0.998, save_minutes=2.0, log_every=20)


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
