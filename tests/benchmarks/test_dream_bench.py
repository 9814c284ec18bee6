"""`unreel bench dream`: what its gates read, and which pictures are compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from unreel.benchmarks import dream


def results(**changes: Any) -> dict[str, Any]:
    """Measurements with which every gate holds."""
    horizons = list(dream.HORIZONS)
    row = {"player_iou": [0.6] * 7, "fish_iou": [0.3] * 7, "frechet": 0.05}
    found: dict[str, Any] = {
        "closeness": {"horizons": horizons, "player_iou": [0.6] * 7, "psnr_beats_copy": True},
        "stroll": {"present": 0.97, "two_or_more": 0.01, "present_streamed": 0.98},
        "displacement": {
            "none": {"real": 0.0, "dreamt": 0.1, "samples": [9, 9]},
            "d": {"real": 1.0, "dreamt": 1.1, "samples": [9, 9]},
        },
        "inverse": {"ratio": 0.9},
        "endurance": {"last_fifth": {"gradient": 0.95, "mean": 1.0, "contrast": 1.0, "change": 0.9}},
        "by_steps": {"horizons": horizons, **{str(steps): dict(row) for steps in dream.STEPS}},
    }
    for name, value in changes.items():
        part, key = name.split("__")
        found[part][key] = value
    return found


def failing(**changes: Any) -> list[str]:
    return [row["gate"] for row in dream.gates(results(**changes)) if not row["passed"]]


def test_gates_hold_where_everything_does() -> None:
    assert failing() == []


@pytest.mark.parametrize(
    ("changes", "gate"),
    [
        ({"stroll__present": 0.94}, "player present"),
        ({"stroll__present_streamed": 0.94}, "player present over 100 frames, as streamed"),
        ({"stroll__two_or_more": 0.2}, "two players"),
        ({"closeness__psnr_beats_copy": False}, "PSNR above"),
        ({"inverse__ratio": 0.7}, "inverse dynamics"),
        ({"displacement__d": {"real": 1.0, "dreamt": 1.3, "samples": [9, 9]}}, "displacement"),
        (
            {"by_steps__1": {"player_iou": [0.6] * 7, "fish_iou": [0.3] * 7, "frechet": 0.04}},
            "Frechet distance to real films",
        ),
        (
            {"by_steps__2": {"player_iou": [0.7] * 5 + [0.1] * 2, "fish_iou": [0.3] * 7, "frechet": 0.05}},
            "sprite IoU to frame 16",
        ),
    ],
)
def test_what_falls_short_is_named(changes: dict[str, Any], gate: str) -> None:
    (named,) = failing(**changes)
    assert named.startswith(gate)


def test_pictures_are_spread_over_a_film_to_its_end() -> None:
    films = np.broadcast_to(np.arange(32, dtype=np.uint8)[None, :, None, None, None], (2, 32, 4, 4, 3))
    assert dream._pictures(films, 8)[:, 0, 0, 0].tolist() == [3, 7, 11, 15, 19, 23, 27, 31] * 2
    assert len(dream._pictures(films, 32)) == 64
