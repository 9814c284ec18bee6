"""The one body that motions are learned on, and the proportions that make it somebody's.

Rigs name and cut up their joints in many ways, and there are minutes of captured motion, not hours. So every clip is
carried over (`skeleton.retarget`) to the same 22 joints, facing +Z with arms to the sides, and teaches the same
numbers; what is made goes back the same way, onto any rig whose joints have roles in a body (`skeleton.names`). What
differs between bodies and matters to a motion, the lengths of their bones against their legs, is kept: a clip is
carried onto the body with *its* proportions, and the model is told them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from unreel.engine.errors import UserError
from unreel.modalities.skeleton.motion import Motion
from unreel.modalities.skeleton.names import roles
from unreel.modalities.skeleton.retarget import retarget
from unreel.modalities.skeleton.rotations import Floats
from unreel.modalities.skeleton.skeleton import Skeleton

# Joint, parent, rest place in metres of a body of 1.7 m.
TRUNK = (
    ("hips", "", (0.0, 0.95, 0.0)),
    ("spine", "hips", (0.0, 1.06, 0.0)),
    ("spine2", "spine", (0.0, 1.18, 0.0)),
    ("chest", "spine2", (0.0, 1.30, 0.0)),
    ("neck", "chest", (0.0, 1.46, 0.0)),
    ("head", "neck", (0.0, 1.56, 0.02)),
)
SIDE = (  # of the left, which is at +X
    ("clavicle", "chest", (0.03, 1.42, 0.0)),
    ("arm", "clavicle", (0.18, 1.42, 0.0)),
    ("forearm", "arm", (0.46, 1.42, 0.0)),
    ("hand", "forearm", (0.71, 1.42, 0.0)),
    ("thigh", "hips", (0.09, 0.90, 0.0)),
    ("shin", "thigh", (0.09, 0.49, 0.0)),
    ("foot", "shin", (0.09, 0.08, 0.0)),
    ("toes", "foot", (0.09, 0.02, 0.14)),
)
LEG = ("left_shin", "left_foot")  # bones that end here are 1 in all proportions together
RANGE = (0.25, 4.0)  # of a proportion


def _table() -> list[tuple[str, str, tuple[float, float, float]]]:
    rows = list(TRUNK)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        for name, parent, (x, y, z) in SIDE:
            above = f"{side}_{parent}" if any(parent == row[0] for row in SIDE) else parent
            rows.append((f"{side}_{name}", above, (sign * x, y, z)))
    return rows


def _canonical() -> Skeleton:
    rows = _table()
    names = [name for name, _, _ in rows]
    parents = np.asarray([names.index(parent) if parent else -1 for _, parent, _ in rows])
    return Skeleton.from_positions(names, parents, np.asarray([place for *_, place in rows]))


BODY = _canonical()


def proportions(skeleton: Skeleton) -> Floats:
    """How long each bone of somebody is against those of `BODY` (22,), where the legs of both are equally long.

    The bone of a joint is the one that ends there; the hips have 1. Joints that a skeleton lacks share the length of
    the next one it has. Left and right are made alike.

    Raises:
        UserError: fewer than half of the joints of a body have a counterpart, or its legs have no length.
    """
    found = {name: joint for name in BODY.names if (joint := roles(skeleton).get(name.replace("_", " "))) is not None}
    if len(found) < len(BODY) // 2:
        have = ", ".join(found) or "none"
        raise UserError(
            f"this skeleton is no body: of hips, spine, arms, legs ... it has {have}; "
            "name its joints as Mixamo, CMU or Rigify do"
        )
    ratio = np.ones(len(BODY))
    told = np.zeros(len(BODY), bool)
    for joint in range(len(BODY) - 1, 0, -1):  # from the tips inwards, so that what lies between takes it over
        chain = _chain(joint, found)
        if BODY.names[joint] not in found or chain is None:
            continue
        above = int(BODY.parents[chain[-1]])
        mine = np.linalg.norm(BODY.positions[joint] - BODY.positions[above])
        theirs = skeleton.positions[found[BODY.names[joint]]] - skeleton.positions[found[BODY.names[above]]]
        ratio[chain], told[chain] = np.linalg.norm(theirs) / mine, True
    leg = np.mean([ratio[BODY.index(name)] for name in LEG if told[BODY.index(name)]] or [np.median(ratio[told])])
    if leg < 1e-9:
        raise UserError("this skeleton is no body: its legs have no length; export it with its rest pose")
    ratio = np.where(told, ratio / leg, 1.0)
    ratio[0] = 1.0
    return np.clip((ratio + ratio[_partners()]) / 2, *RANGE)


def _chain(joint: int, found: dict[str, int]) -> list[int] | None:
    """The joint and those above it up to, not including, the next one that was found."""
    chain = [joint]
    while (above := int(BODY.parents[chain[-1]])) >= 0:
        if BODY.names[above] in found:
            return chain
        chain.append(above)
    return None


def _partners() -> list[int]:
    swap = {"left": "right", "right": "left"}
    found = []
    for name in BODY.names:
        side, _, part = name.partition("_")
        found.append(BODY.names.index(f"{swap[side]}_{part}" if side in swap else name))
    return found


def shaped(ratio_J: Floats) -> Skeleton:
    """`BODY` with bones as long as these proportions (22,) say, standing on the same ground."""
    translations = BODY.translations * np.asarray(ratio_J, np.float32)[:, None]
    translations[0] = BODY.translations[0]
    made = replace(BODY, translations=translations)
    return made.moved(np.asarray([0.0, BODY.positions[:, 1].min() - made.positions[:, 1].min(), 0.0]))


def on_body(motion: Motion) -> Motion:
    """The motion of somebody carried onto `BODY` with their proportions, its lowest joint on the ground of the body.

    The ground is where the lowest joint is in the lowest twentieth of the frames: a climber starts from it.
    """
    made = retarget(motion, shaped(proportions(motion.skeleton)))
    lowest = float(np.quantile(made.positions()[..., 1].min(1), 0.05)) - float(BODY.positions[:, 1].min())
    return replace(made, root=made.root - np.asarray([0.0, lowest, 0.0], np.float32))
