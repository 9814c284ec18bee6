"""A made-up game: a bar of light that goes left and right, 16x32 pixels; episodes of 12 decisions."""

from __future__ import annotations

import numpy as np

from unreel.modalities.world.doom.game import KEYS, Sight

HEIGHT, WIDTH, LENGTH = 16, 32, 12


class Bar:
    """The bar is where ``place`` says, moves by 2 pixels with ``a`` and ``d``, and is a thing of depth 3."""

    def reset(self, seed: int) -> Sight:
        self.at, self.steps = 4 + seed % 8 * 3, 0
        return self.sight()

    def step(self, action: int) -> tuple[Sight, float, bool]:
        held = KEYS[action].replace("none", "")
        self.at = int(np.clip(self.at + 2 * ("d" in held) - 2 * ("a" in held), 2, WIDTH - 3))
        self.steps += 1
        return self.sight(), float(self.at > 20), self.steps == LENGTH - 1

    def sight(self) -> Sight:
        rgb = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
        classes = np.where(np.arange(HEIGHT)[:, None] < HEIGHT // 2, 0, 1).repeat(WIDTH, 1).astype(np.uint8)
        depth = np.full((HEIGHT, WIDTH), 20, np.uint8)
        bar = np.s_[:, self.at - 2 : self.at + 3]
        rgb[bar], classes[bar], depth[bar] = (200, 180, 60), 3, 3
        return Sight(rgb, classes, depth, np.asarray([self.at, 0, 90], np.float32))
