"""From integer levels (0 noise .. S clean) to times in 0..1, the only thing a backbone is told of noise.

A state at time t is ``t * clean + (1 - t) * noise`` (rectified flow, Liu et al. 2022), so sigma = 1 - t.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from unreel.engine.errors import UserError

BySteps = float | Mapping[int, float]  # one number, or numbers for some numbers of steps, straight lines between


def at(setting: BySteps, steps: int) -> float:
    """The setting for this many steps."""
    if not isinstance(setting, Mapping):
        return float(setting)
    known = sorted(setting)
    return float(np.interp(steps, known, [setting[s] for s in known]))


@dataclass(frozen=True)
class Grid:
    """Times of the levels. ``shift`` > 1 spends more steps on noise: sigma = s*u / (1 + (s-1)*u).

    ``sigmas`` fixes the noise of each level before the last instead (few-step models: 1.0, 0.9375, ...).
    ``noise_scale`` below 1 makes the noise quieter that chunks begin with (low-temperature sampling, as Kingma and
    Dhariwal 2018, section 6.2, do with a flow). It and ``shift`` may depend on the number of steps.
    """

    shift: BySteps = 1.0
    sigmas: tuple[float, ...] = ()
    noise_scale: BySteps = 1.0

    def __post_init__(self) -> None:
        for name, setting in (("shift", self.shift), ("noise_scale", self.noise_scale)):
            numbers = setting if isinstance(setting, Mapping) else {1: setting}
            if not (numbers and all(isinstance(s, int) and s > 0 and 0 < v < np.inf for s, v in numbers.items())):
                raise UserError(
                    f"{name} must be a number above 0, or such numbers by steps, {{4: 9.0, 8: 15.0}}; got {setting}"
                )
        falling = all(a > b for a, b in zip(self.sigmas, self.sigmas[1:], strict=False))
        if self.sigmas and not (falling and 0 < self.sigmas[-1] and self.sigmas[0] <= 1):
            raise UserError(f"sigmas must fall and lie in (0, 1], got {self.sigmas}")

    def times(self, steps: int) -> tuple[float, ...]:
        """``steps + 1`` rising times; the last is 1 (clean).

        Raises:
            UserError: fewer than one step, or a number of steps that fixed ``sigmas`` do not have.
        """
        if steps < 1:
            raise UserError(f"steps must be 1 or more, got {steps}")
        if self.sigmas:
            if steps != len(self.sigmas):
                raise UserError(f"this model was distilled for {len(self.sigmas)} steps, got {steps}")
            return (*(1.0 - s for s in self.sigmas), 1.0)
        shift = at(self.shift, steps)
        uniform = (1.0 - k / steps for k in range(steps + 1))
        return tuple(1.0 - shift * u / (1.0 + (shift - 1.0) * u) for u in uniform)

    def scale(self, steps: int) -> float:
        """What the noise is multiplied by when a chunk is denoised in ``steps`` steps."""
        return at(self.noise_scale, steps)
