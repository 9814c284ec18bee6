"""`unreel train motion`: codec, its decoder alone, network, export. Begins again where it was cut off."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from unreel.engine.errors import UserError
from unreel.engine.learner import Pace
from unreel.modalities.motion.motion.codec_trainer import CodecTrainer
from unreel.modalities.motion.motion.data import Found, load_clips, texts_of
from unreel.modalities.motion.motion.decoder_trainer import DecoderTrainer
from unreel.modalities.motion.motion.export import export, trained_codec
from unreel.modalities.motion.motion.net_trainer import NetTrainer

CODEC_SIZES = {"levels": 6, "codes": 256, "latent": 128, "width": 256, "depth": 2}
NET_SIZES = {"width": 192, "heads": 4, "trunk": 4, "part": 1, "words": 256}


def main(arguments: Sequence[str]) -> None:
    """The command line of `unreel train motion`."""
    parser = argparse.ArgumentParser(prog="unreel train motion", description=__doc__)
    parser.add_argument("--data", required=True, help="folder with AMC and ASF, BVH, animated GLB or glTF files")
    parser.add_argument("--out", default="out/train-motion", help="folder for checkpoints, logs and exported model")
    parser.add_argument("--codec-minutes", type=float, default=40.0, help="training of the codec, resumptions included")
    parser.add_argument(
        "--decoder-minutes", type=float, default=15.0, help="of the codec's decoder alone, resumptions included"
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="training of the network, resumptions included")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    wish = parser.parse_args(list(arguments))
    if min(wish.codec_minutes, wish.decoder_minutes, wish.minutes) <= 0:
        raise UserError("--codec-minutes, --decoder-minutes and --minutes are above 0")
    train(
        Path(wish.data), Path(wish.out), (wish.codec_minutes, wish.decoder_minutes, wish.minutes), wish.threads,
        wish.seed, CODEC_SIZES, NET_SIZES,
    )  # fmt: skip
    folder = Path(wish.out) / "model"
    print(f"exported to {folder}: load it with unreel.load({str(folder)!r})")


def train(
    data: Path, out: Path, minutes: tuple[float, float, float], threads: int, seed: int, codec_sizes: dict[str, int],
    net_sizes: dict[str, int],
) -> None:  # fmt: skip
    """All trainings, so many ``minutes`` each, and the export to ``out/model``; tells what was found and left out."""
    torch.set_num_threads(threads)
    found = load_clips(data)
    out.mkdir(parents=True, exist_ok=True)
    (out / "skipped.txt").write_text("\n".join([*found.skipped, ""]), encoding="utf-8")
    told = record(found)
    print(
        f"{told['clips']} clips, {told['minutes_of_motion']:.1f} minutes without their variants, "
        f"{len(found.held_out)} held out, {len(found.skipped)} left out (why: {out / 'skipped.txt'})"
    )
    CodecTrainer(found.train, pace(minutes[0], 4e-4), out, codec_sizes, seed=seed).run()
    DecoderTrainer(found.train, trained_codec(out), pace(minutes[1], 4e-4), out, seed=seed).run()
    NetTrainer(found.train, trained_codec(out), pace(minutes[2], 6e-4), out, net_sizes, seed=seed).run()
    export(out, out / "model", told)


def pace(minutes: float, rate: float) -> Pace:
    """The pace of either training."""
    return Pace(minutes, rate, decay_from=0.5, ema=0.995, save_minutes=2.0, log_every=20)


def record(found: Found) -> dict[str, object]:
    """What the card says of the data. Variants of a clip count once."""
    plain = {clip.name: len(clip.features) for clip in found.train}
    return {
        "texts": texts_of(found.train),
        "clips": len(plain),
        "minutes_of_motion": sum(plain.values()) / 30 / 60,
        "held_out": sorted({clip.name for clip in found.held_out}),
    }


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
