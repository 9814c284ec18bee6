"""What joint names mean: which side a joint is on, its partner on the other one, and its role in a body.

Names as Mixamo, CMU's motion capture, Unreal's mannequin, Blender's Rigify, Quaternius, KayKit and Mesh2Motion use
them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

import numpy as np

from unreel.modalities.skeleton.kinematics import Ints
from unreel.modalities.skeleton.skeleton import Skeleton

# Role -> spellings, after prefix, side and separators are taken off. A number at the end stays part of the spelling.
SPELLINGS = {
    "hips": "hips hip pelvis root body",
    "spine": "spine spine1 spine01 spine001 abdomen lowerback torso back",
    "spine2": "spine2 spine02 spine002 upperback torso2",
    "chest": "chest spine3 spine03 spine003 thorax upperchest torso3",
    "neck": "neck neck1 neck01 lowerneck",
    "head": "head",
    "clavicle": "clavicle shoulder collar",
    "arm": "upperarm arm humerus",
    "forearm": "forearm lowerarm radius",
    "hand": "hand palm fist wrist",
    "thigh": "thigh upperleg upleg femur",
    "shin": "shin calf lowerleg leg tibia",
    "foot": "foot ankle",
    "toes": "toes toe toebase ball",
}
ROLES = {spelling: role for role, spellings in SPELLINGS.items() for spelling in spellings.split()}
SIDED = ("clavicle", "arm", "forearm", "hand", "thigh", "shin", "foot", "toes")
# Of two joints with one role the one whose spelling comes first in SPELLINGS has it.
RANK = {spelling: rank for spellings in SPELLINGS.values() for rank, spelling in enumerate(spellings.split())}

MARKS = (  # how a side is written, likelier first
    (r"left", r"right", re.I),
    (r"(?:^|[._\- ])l(?=$|[._\- ])", r"(?:^|[._\- ])r(?=$|[._\- ])", re.I),
    (r"(?<=[a-z0-9])L$", r"(?<=[a-z0-9])R$", 0),
)
SWAPS = (("Left", "Right"), ("left", "right"), ("LEFT", "RIGHT"), ("L", "R"), ("l", "r"))
CONTROL = re.compile(r"(^|[^a-z])(ik|pole|control|ctrl|end|tip|leaf|nub|effector)([^a-z]|$)|target|slot|^ik", re.I)


def split_side(name: str) -> tuple[str, str]:
    """A joint name without its prefix and side, in lower case letters and digits; and "left", "right" or ""."""
    base = re.sub(r"^.*[:|]", "", name)
    base = re.sub(r"^(DEF|ORG|MCH|Bip\d*|Armature|Bip01)[-_ ]", "", base, flags=re.I)
    side = ""
    for left, right, flags in MARKS:
        for mark, found in ((left, "left"), (right, "right")):
            if not side and re.search(mark, base, flags):
                base, side = re.sub(mark, "", base, count=1, flags=flags), found
    plain = re.sub(r"[^a-z0-9]", "", base.lower())
    if not side and plain[:1] in "lr" and plain[1:] in ROLES and ROLES[plain[1:]] in SIDED:
        side, plain = ("left" if plain[0] == "l" else "right"), plain[1:]
    return plain, side


def role(name: str) -> str | None:
    """What a joint is in a body: "hips", "left thigh", "right index 2", ...; None for tips, handles and the unknown."""
    if CONTROL.search(name.rpartition(":")[2]):
        return None
    plain, side = split_side(name)
    finger = re.fullmatch(r"f?(?:hand)?(thumb|index|middle|ring|pinky)0*(\d)", plain)
    if finger and side:
        return f"{side} {finger[1]} {finger[2]}"
    found = ROLES.get(plain)
    if found is None or (found in SIDED) != bool(side):
        return None
    return f"{side} {found}".strip()


@lru_cache(maxsize=256)
def roles(skeleton: Skeleton) -> Mapping[str, int]:
    """Role -> joint, read-only; of several the one spelled most commonly has it, then the one nearest the root."""
    found: dict[str, tuple[int, int]] = {}
    for joint, name in enumerate(skeleton.names):
        its = role(name)
        if its is not None:
            claim = (RANK.get(split_side(name)[0], 0), joint)
            found[its] = min(found.get(its, claim), claim)
    return MappingProxyType({its: joint for its, (_, joint) in found.items()})


def partner(name: str, names: set[str]) -> str | None:
    """The joint on the other side: the name with left and right, or L and R, swapped in one place; None without one."""
    for left, right in SWAPS:
        for a, b in ((left, right), (right, left)):
            for match in re.finditer(a, name):
                other = name[: match.start()] + b + name[match.end() :]
                if other in names:
                    return other
    return None


def partners(skeleton: Skeleton) -> Ints:
    """For each joint the one on the other side (J,), itself for those in the middle."""
    names = set(skeleton.names)
    place = {name: joint for joint, name in enumerate(skeleton.names)}
    found = np.arange(len(skeleton))
    for joint, name in enumerate(skeleton.names):
        other = partner(name, names)
        if other is not None and partner(other, names) == name:
            found[joint] = place[other]
    return found
