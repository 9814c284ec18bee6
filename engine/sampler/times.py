"""From integer levels (0 noise .. S clean) to times in 0..1, the only thing a backbone is told of noise.

A state at time t is ``t * clean + (1 - t) * noise`` (rectified flow, Liu et al. 2022), so sigma = 1 - t.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from unreel.engine.errors import UserError


@dataclass(frozen=True)
class Grid:
    """Times of the levels. ``shift`` > 1 spends more steps on noise: sigma = s*u / (1 + (s-1)*u).

    ``sigmas`` fixes the noise of each level before the last instead (few-step models: 1.0, 0.9375, ...).
    ``noise_scale`` makes the noise quieter that chunks begin with: scales by numbers of steps, straight lines between
    (low-temperature sampling, as Kingma and Dhariwal 2018, section 6.2, do with a flow).
    """

    shift: float = 1.0
    sigmas: tuple[float, ...] = ()
    noise_scale: Mapping[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        scales = self.noise_scale
        if not all(isinstance(s, int) and s > 0 and 0 <= v <= 2 for s, v in scales.items()):
            raise UserError(f"noise_scale maps numbers of steps to scales of 0 to 2, {{4: 1.0, 8: 0.7}}; got {scales}")
        if self.shift <= 0:
            raise UserError(f"shift must be above 0, got {self.shift}")
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
        uniform = (1.0 - k / steps for k in range(steps + 1))
        return tuple(1.0 - self.shift * u / (1.0 + (self.shift - 1.0) * u) for u in uniform)

    def scale(self, steps: int) -> float:
        """What the noise is multiplied by when a chunk is denoised in ``steps`` steps."""
        if not self.noise_scale:
            return 1.0
        known = sorted(self.noise_scale)
        return float(np.interp(steps, known, [self.noise_scale[s] for s in known]))
