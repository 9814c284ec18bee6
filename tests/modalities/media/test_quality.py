"""PSNR, SSIM and drift against values worked out by other means."""

import numpy as np
import pytest

from unreel.engine.errors import UserError
from unreel.modalities.media.quality import LUMA, Look, psnr, ssim


def test_psnr_of_a_known_error(film: np.ndarray) -> None:
    grey = np.full((3, 16, 16, 3), 100, np.uint8)
    assert psnr(grey, grey + 10).tolist() == pytest.approx([10 * np.log10(255**2 / 100)] * 3)
    assert np.isinf(psnr(film, film)).all()


def test_ssim_matches_the_formula_in_one_window() -> None:
    """An 11x11 frame has one window, so the sums can be written out."""
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 256, (2, 1, 11, 11, 3), dtype=np.uint8)
    line = np.exp(-((np.arange(11) - 5) ** 2) / 4.5)
    window = np.outer(line, line) / line.sum() ** 2
    x, y = a[0] @ LUMA, b[0] @ LUMA
    mx, my = (window * x).sum(), (window * y).sum()
    vx, vy = (window * (x - mx) ** 2).sum(), (window * (y - my) ** 2).sum()
    cov = (window * (x - mx) * (y - my)).sum()
    c1, c2 = 2.55**2, 7.65**2
    want = (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    assert ssim(a, b)[0] == pytest.approx(want, rel=1e-9)


def test_ssim_is_one_for_equals_and_falls_with_blur(film: np.ndarray) -> None:
    assert ssim(film, film).tolist() == pytest.approx([1.0] * 12)
    noisy = np.clip(film + np.random.default_rng(0).normal(0, 20, film.shape), 0, 255).astype(np.uint8)
    assert (ssim(film, noisy) < 0.9).all()


def test_shapes_must_agree(film: np.ndarray) -> None:
    with pytest.raises(UserError, match="one size and length"):
        psnr(film, film[:3])
    with pytest.raises(UserError, match="11x11"):
        ssim(film[:, :8], film[:, :8])


def test_drift_sees_haze_and_standstill() -> None:
    rng = np.random.default_rng(0)
    sharp = rng.integers(0, 256, (20, 32, 32, 3)).astype(np.float64)
    haze = 128 + 0.5 * (sharp[:1] - 128)
    look = Look()
    look.add(sharp.astype(np.uint8))
    look.add(haze.repeat(20, axis=0).astype(np.uint8))
    drift = look.drift()
    assert drift["gradient_energy"] == pytest.approx(0.25, abs=0.02)
    assert drift["contrast"] == pytest.approx(0.5, abs=0.02)
    assert drift["mean"] == pytest.approx(1, abs=0.02)
    assert drift["change"] is not None
    assert drift["change"] < 0.1
    assert Look().drift()["mean"] is None
