"""`unreel train panorama`: learn from a folder of panoramas, export. Begins again where it was cut off."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from unreel.modalities.panorama.data import load_panoramas, split
from unreel.modalities.panorama.panorama.export import export
from unreel.modalities.panorama.panorama.trainer import TrainConfig, Trainer

KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "8000000000", "MALLOC_TRIM_THRESHOLD_": "16000000000"}  # glibc: 10-15 %


def main(arguments: Sequence[str]) -> None:
    """The command line of `unreel train panorama`."""
    parser = argparse.ArgumentParser(prog="unreel train panorama", description=__doc__)
    parser.add_argument("--data", required=True, help="folder of equirectangular pictures (JPEG, PNG, WebP)")
    parser.add_argument("--out", default="out/train-panorama", help="folder for checkpoint, log and exported model")
    parser.add_argument("--minutes", type=float, default=75.0, help="length of the training, resumptions included")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--samples", type=int, default=2, help="windows a step")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--warm", default="", help="checkpoint to begin from")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    wish = parser.parse_args(list(arguments))
    if wish.worker:
        Trainer(TrainConfig(**json.loads(wish.worker))).run()
        return
    trained, _ = split(load_panoramas(Path(wish.data)), Path(wish.data))  # mistakes are told before anything begins
    config = TrainConfig(
        wish.data, wish.out, wish.minutes, wish.threads, samples=wish.samples, seed=wish.seed, warm=wish.warm
    )
    run(config)
    out = Path(wish.out)
    export(out / "checkpoint.pt", out / "model", panoramas=trained)
    print(f"exported to {out / 'model'}: load it with unreel.load({str(out / 'model')!r})")


def run(config: TrainConfig) -> None:
    """Train in a process whose memory allocator keeps what it has."""
    module = [sys.executable, "-m", "unreel.modalities.panorama.panorama.train"]
    job = [*module, "--data", config.data, "--worker", json.dumps(asdict(config))]
    failed = subprocess.run(job, env={**os.environ, **KEEP_MEMORY}, check=False).returncode
    if failed:
        raise SystemExit(f"the trainer failed ({failed}); its error is above")


if __name__ == "__main__":
    main(sys.argv[1:])
