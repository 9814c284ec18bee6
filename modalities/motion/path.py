"""Walking along a curve: what the model is told of a path at every chunk, seen from where the root is then."""

from __future__ import annotations

import numpy as np

from unreel.modalities.motion.features import Place
from unreel.modalities.skeleton.rotations import Floats

AHEAD = (12, 24, 36)  # frames of 30 a second: 0.4, 0.8 and 1.2 seconds
TOLD = 2 * len(AHEAD) + 1  # x and z of each, and 1 for "there is a path"
REACH = 2.0  # metres ahead in which the nearest point of the curve is sought


def seen_from(places_N2: Floats, here: Place) -> Floats:
    """Points x, z (N, 2) of the ground in the heading frame of ``here``."""
    x, z, heading = here
    apart = np.asarray(places_N2, np.float64) - (x, z)
    cos, sin = np.cos(heading), np.sin(heading)
    return np.stack([cos * apart[:, 0] - sin * apart[:, 1], sin * apart[:, 0] + cos * apart[:, 1]], -1)


def ahead(curve_N2: Floats, closed: bool, speed: float, here: Place, along: float) -> tuple[Floats, float]:
    """What is told (7,) at ``here``, and how far along the curve that is, in metres; ``along`` is how far it was.

    The nearest point at most `REACH` metres on is where somebody is, so that crossings are no shortcuts. Points are
    told where ``speed`` metres per second lead from there; an open curve ends where it ends.
    """
    points = np.concatenate([curve_N2, curve_N2[:1]]) if closed else np.asarray(curve_N2)
    reach = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    tries = np.linspace(along, along + REACH, 81)
    near = np.linalg.norm(_at(points, reach, tries, closed) - here[:2], axis=1)
    now = float(tries[near.argmin()])
    aims = _at(points, reach, now + speed * np.asarray(AHEAD) / 30.0, closed)
    return np.concatenate([seen_from(aims, here).ravel(), [1.0]]), now


def _at(points_N2: Floats, reach_N: Floats, along: Floats, closed: bool) -> Floats:
    """Points (M, 2) of the curve at distances ``along`` (M,) from its beginning."""
    at = along % reach_N[-1] if closed else np.clip(along, 0.0, reach_N[-1])
    return np.stack([np.interp(at, reach_N, points_N2[:, axis]) for axis in (0, 1)], -1)
