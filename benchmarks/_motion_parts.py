"""The parts of `unreel bench motion`, each a function of the model and real clips that returns plain numbers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unreel.benchmarks import _clock, _features
from unreel.benchmarks import _motion_metrics as metrics
from unreel.benchmarks import _motion_space as space
from unreel.engine.errors import UserError
from unreel.engine.model import Model
from unreel.modalities.motion.body import BODY, shaped
from unreel.modalities.motion.codec import MotionCodec
from unreel.modalities.motion.contact import FootLock
from unreel.modalities.motion.features import FPS, Layout, decode, encode
from unreel.modalities.motion.figure import figure
from unreel.modalities.motion.film import Stage
from unreel.modalities.motion.motion.data import Labelled
from unreel.modalities.motion.network import FRAMES
from unreel.modalities.motion.poses import Poses, whole
from unreel.modalities.skeleton.rig import Rig
from unreel.modalities.skeleton.skeleton import Skeleton
from unreel.report import peak_process_bytes

WARM = 8  # chunks of a generated clip that are left out before a window is cut
FEET = list(Layout.of(BODY).feet)
SHOWN = {"the body": None, "on a rig": False, "on a rig, feet held": True}  # how poses are shown -> contacts


def made(model: Model, text: str, chunks: int, seed: int, **controls: Any) -> list[Poses]:
    """Poses that the model makes for a text, chunk by chunk."""
    session = model.session(seed=seed, rewind=0)
    session.send("text", text)
    for name, value in controls.items():
        session.send(name, value)
    poses = [event.payload for event in session.stream(chunks=chunks)]
    session.close()
    return poses


def codec(model: Model, held_out: Sequence[Labelled], quick: bool) -> dict[str, Any]:
    """Distance of joints after coding, on held-out clips: around the root, and with the way over the ground."""
    local, ways, unquantised = [], [], []
    net = _codec(model).net
    for clip in held_out[: 4 if quick else None]:
        numbers = clip.features[: len(clip.features) // FRAMES * FRAMES]
        with torch.inference_mode():
            latents = net.encode(torch.from_numpy(numbers)[None])
            coded = net.decode(net.quantiser.decode(net.quantiser.encode(latents)))[0][0].numpy()
            plain = net.decode(latents)[0][0].numpy()
        real, ours, free = (decode(one, shaped(clip.body))[0] for one in (numbers, coded, plain))
        middle = [motion.positions() - motion.root[:, None] * (1, 0, 1) for motion in (real, ours, free)]
        local.append((len(numbers), metrics.mpjpe_mm(middle[1], middle[0])))
        unquantised.append((len(numbers), metrics.mpjpe_mm(middle[2], middle[0])))
        ways.append(float(np.linalg.norm((ours.root - real.root)[min(60, len(numbers)) - 1])))

    def mean(rows: list[tuple[int, float]]) -> float:
        return float(np.average([error for _, error in rows], weights=[count for count, _ in rows]))

    return {
        "clips": len(local), "mpjpe_mm": mean(local), "mpjpe_without_codes_mm": mean(unquantised),
        "way_after_2s_m": float(np.mean(ways)), "tokens_per_s": FPS / FRAMES,
    }  # fmt: skip


def quality(model: Model, train: Sequence[Labelled], held_out: Sequence[Labelled], quick: bool) -> dict[str, Any]:
    """Frechet distances to held-out windows, labels recovered, feet that slide: ours beside what is real.

    Ours are made for the words and the body of each window.
    """
    known = space.learned(train, 60 if quick else 1500)
    real, owners = space.windows(held_out)
    order = np.random.default_rng(0).permutation(len(real))[: 6 if quick else None]
    real, owners = real[order], [owners[n] for n in order]
    texts = [clip.text for clip in owners]
    if len(real) < 4:
        raise UserError(
            f"{len(real)} held-out windows of {space.FRAMES} frames are too few for a distance; give more clips"
        )
    chunks = WARM + space.FRAMES // FRAMES
    clips = [made(model, clip.text, chunks, seed, body=clip.body)[WARM:] for seed, clip in enumerate(owners)]
    ours = np.stack([encode(whole(clip))[0] for clip in clips])
    repeated, repeated_texts = _repeated(train, len(real))
    rows = {"ours": known.features(ours), "repeated training clip": known.features(repeated)}
    halves = np.arange(len(real))
    own = known.features(real)
    distances = {name: _features.frechet(found, own).distance for name, found in rows.items()}
    halved = {name: _features.frechet(found[halves[::2]], own[halves[1::2]]).distance for name, found in rows.items()}
    halved["real"] = _features.frechet(own[halves[::2]], own[halves[1::2]]).distance
    locked = [_locked(clip) for clip in clips]
    walks = [n for n, text in enumerate(texts) if "walk" in text or "run" in text] or list(range(len(texts)))
    return {
        "space": space.NAME, "windows": len(real), "frames": space.FRAMES, "dimensions": space.SPACE,
        "frechet": distances, "frechet_of_halves": halved,
        "labels": {
            "real held out": known.recovered(real, texts), "ours": known.recovered(ours, texts),
            "training clips": known.recovered(repeated, repeated_texts),
        },
        "foot_skate_m_per_s": {
            "real": _skate([decode(real[n], shaped(owners[n].body))[0].positions() for n in walks]),
            "ours": _skate([whole(clips[n]).positions() for n in walks]),
            "ours, contacts cleaned": _skate([whole(locked[n]).positions() for n in walks]),
        },
    }  # fmt: skip


def joins(model: Model, texts: Sequence[str], quick: bool) -> dict[str, Any]:
    """Peak jerk at joins of chunks against inside them, in steady motion and where the words change."""
    chunks = 16 if quick else 120
    steady = [metrics.jerk_at_joins(_places(made(model, text, chunks, n)), FPS, FRAMES) for n, text in enumerate(texts)]
    session, every, changes = model.session(seed=1, rewind=0), 8, 3 if quick else 40
    poses = []
    for n in range(1 + changes):
        session.send("text", texts[n % len(texts)])
        poses += [event.payload for event in session.stream(chunks=every)]
    session.close()
    peaks = metrics.jerks(_places(poses), FPS)
    starts = [n * every * FRAMES for n in range(1, 1 + changes)]
    new = [peaks[at - 3 : at + 1].max() for at in starts]
    after = [peaks[at + FRAMES : at + every * FRAMES - 3].max() for at in starts]
    return {
        "texts": list(texts), "steady": steady, "ratio": float(np.mean([one["ratio"] for one in steady])),
        "ratio_p95": float(np.mean([one["ratio_p95"] for one in steady])),
        "peak_at_new_words_over_peak_of_the_second_after": float(np.median(np.divide(new, after))),
    }  # fmt: skip


def speed(model: Model, quick: bool) -> dict[str, Any]:
    """Seconds to the first poses of a new session, and seconds of motion per second, without a rig and with one.

    Medians of several runs, the three kinds in turn; the first of all runs warms up and does not count.
    """
    rig, runs = fingered(), range(2 if quick else 6)
    first: list[float] = []
    factors: dict[str, list[float]] = {name: [] for name in SHOWN}
    with _clock.measuring():
        _timed(model, 0, Stage(), 4)
        for seed in runs:
            for name, contacts in SHOWN.items():
                stage = Stage() if contacts is None else Stage(rig, contacts)
                began, factor = _timed(model, seed, stage, 20 if quick else 150)
                first.append(began)
                factors[name].append(factor)

    def spread(values: list[float]) -> dict[str, float]:
        return {"median": float(np.median(values)), "min": min(values), "max": max(values)}

    return {
        "first_pose_s": spread(first), "rig_joints": len(rig.skeleton),
        "real_time_factor": {name: spread(values) for name, values in factors.items()},
    }  # fmt: skip


def _timed(model: Model, seed: int, stage: Stage, chunks: int) -> tuple[float, float]:
    """Seconds to the first poses on what shows them, and seconds of motion per second after that."""
    began = time.perf_counter()
    session = model.session(seed=seed, rewind=0)
    session.send("text", "walk")
    if stage.rig is not None:
        session.send("body", stage.rig.skeleton)
    stream = session.stream(chunks=1 + chunks)
    stage.motion(next(stream).payload)
    first, began = time.perf_counter() - began, time.perf_counter()
    poses = sum(stage.motion(event.payload).frames for event in stream)
    factor = poses / FPS / (time.perf_counter() - began)
    session.close()
    return first, factor


def endless(model: Model, quick: bool, minutes: float = 10.0) -> dict[str, Any]:
    """Walking without an end: root height, the longest freeze, time and memory early and late."""
    chunks = 60 if quick else round(minutes * 60 * FPS / FRAMES)
    session = model.session(seed=3, rewind=0)
    session.send("text", "walk")
    heights, places, seconds, held = [], [], [], []
    before = peak_process_bytes()
    with _clock.measuring():
        for event in session.stream(chunks=chunks):
            poses = event.payload
            heights.append(poses.root[:, 1])
            places.append(poses.motion.positions())
            seconds.append(event.timing["total"])
            held.append(session.context_bytes)
    session.close()
    joints = np.concatenate(places)
    tenth = max(1, chunks // 10)
    return {
        "minutes": chunks * FRAMES / FPS / 60,
        "height_m": metrics.height_drift(np.concatenate(heights), FPS),
        "lowest_joint_m": {"first": _low(joints[: tenth * FRAMES]), "last": _low(joints[-tenth * FRAMES :])},
        "longest_freeze_s": metrics.longest_freeze(joints, FPS),
        "way_m": float(np.linalg.norm(np.diff(joints[:, 0, [0, 2]], axis=0), axis=1).sum()),
        "chunk_s": {"early": float(np.median(seconds[:tenth])), "late": float(np.median(seconds[-tenth:]))},
        "context_bytes": {"early": max(held[:tenth]), "late": max(held[-tenth:])},
        "process_bytes": {"early": before, "late": peak_process_bytes()},
    }


def _codec(model: Model) -> MotionCodec:
    if not isinstance(model.codec, MotionCodec):
        raise UserError(f"{model.name} is no motion model")
    return model.codec


def _places(poses: Sequence[Poses]) -> metrics.Numbers:
    return np.asarray(whole(poses).positions())


def _low(joints: metrics.Numbers) -> float:
    return float(np.quantile(joints[..., 1].min(1), 0.05))


def _locked(clip: Sequence[Poses]) -> list[Poses]:
    lock = FootLock()
    return [lock.clean(poses) for poses in clip]


def _skate(clips: Sequence[metrics.Numbers]) -> float:
    return float(np.nanmean([metrics.foot_skate(places[:, FEET], FPS) for places in clips]))


def _repeated(train: Sequence[Labelled], count: int) -> tuple[NDArray[np.float32], list[str]]:
    """Random windows of random training clips, whatever is asked for."""
    cut, owners = space.windows(train, 8)
    picked = np.random.default_rng(1).integers(len(cut), size=count)
    return cut[picked], [owners[n].text for n in picked]


def fingered() -> Rig:
    """Somebody larger with five fingers of three joints on each hand: 52 joints, as rigs of people have."""
    names, parents, places = list(BODY.names), BODY.parents.tolist(), list(BODY.positions)
    for side, way in (("left", 1.0), ("right", -1.0)):
        hand = BODY.index(f"{side}_hand")
        for finger in range(5):
            for joint in (1, 2, 3):
                names.append(f"{side}_finger_{finger}_{joint}")
                parents.append(hand if joint == 1 else len(names) - 2)
                places.append(places[hand] + np.asarray([0.03 * joint * way, 0.0, 0.02 * (finger - 2)]))
    return figure(Skeleton.from_positions(names, np.asarray(parents), np.stack(places)).scaled(1.2))
