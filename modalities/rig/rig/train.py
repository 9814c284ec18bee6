"""`unreel train rig`: learn from a folder of rigged characters, export. Begins again where it was cut off."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from unreel.modalities.rig.rig.export import export
from unreel.modalities.rig.rig.trainer import TrainConfig, Trainer


def main(arguments: Sequence[str]) -> None:
    """The command line of `unreel train rig`."""
    parser = argparse.ArgumentParser(prog="unreel train rig", description=__doc__)
    parser.add_argument("--data", required=True, help="folder of rigged characters (.glb, .gltf)")
    parser.add_argument("--out", default="out/train-rig", help="folder for checkpoint, log and exported model")
    parser.add_argument("--minutes", type=float, default=240.0, help="length of the training, resumptions included")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=8, help="characters a step")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commit", default="", help="of the code, for the model card's record")
    wish = parser.parse_args(list(arguments))
    config = TrainConfig(wish.data, wish.out, wish.minutes, wish.threads, wish.batch, seed=wish.seed)
    Trainer(config).run()
    out = Path(wish.out)
    export(out / "checkpoint.pt", out / "model", commit=wish.commit)
    print(f"exported to {out / 'model'}: load it with unreel.load({str(out / 'model')!r})")
