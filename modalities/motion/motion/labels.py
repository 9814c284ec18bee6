"""Words for clips: what the 24 captures of CMU's database are, and what names of animations in game files say."""

from __future__ import annotations

import re

# Trial -> what is done in it, in the words of the database's own index (mocap.cs.cmu.edu, subjects 1 to 3).
CMU = {
    "01_01": "forward jumps and turn around on the playground",
    "01_02": "climb",
    "01_03": "climb, hang and swing",
    "01_04": "climb, hang and swing",
    "01_05": "climb and go under",
    "01_06": "climb, sit, dangle legs and jump down",
    "01_07": "climb, sit, dangle legs and jump down",
    "01_08": "climb, sit, dangle legs, rock back and lower self to the ground",
    "01_10": "climb, swing and hang back",
    "01_11": "climb, hang and lean over",
    "01_12": "climb, pull up, dangle, sit and lower self to the ground",
    "01_13": "climb, go under and jump down",
    "01_14": "climb, jump down, dangle and push off with the legs",
    "02_01": "walk",
    "02_02": "walk",
    "02_03": "run",
    "02_04": "jump and balance",
    "02_06": "bend over, scoop up, rise and lift an arm",
    "02_07": "sword play",
    "02_08": "sword play",
    "02_09": "sword play",
    "03_01": "walk on uneven terrain",
    "03_02": "walk on uneven terrain",
    "03_04": "walk on uneven terrain",
}
PLAIN = {
    "hit recieve": "get hit", "hit receive": "get hit", "hit": "get hit", "death": "die", "running": "run",
    "walking": "walk", "jogging": "jog", "punching": "punch", "pickup": "pick up", "hello": "wave", "no": "shake head",
    "yes": "nod", "t pose": "stand with arms out", "spellcasting": "cast a spell", "spellcast": "cast a spell",
    "unarmed": "", "melee": "", "full": "", "neutral": "", "take": "", "unreal": "", "mixamo com": "", "custom": "",
    "new": "", "pose": "", "rest": "", "1h": "one hand", "2h": "two hands", "dualwield": "two blades",
    "back": "backward", "backwards": "backward", "sword slash": "slash with a sword", "standup": "stand up",
    "sword attack": "slash with a sword",
}  # fmt: skip
STEPS = ("walk", "run", "jog", "sprint", "strafe", "sneak", "crawl", "march")


def label(name: str) -> str:
    """English words for an animation's name; empty when it has none: "Armature|Man_RunLeft_1" is "run left"."""
    base = name.rpartition("|")[2].rpartition(":")[2]
    base = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", base)
    words = re.sub(r"[^A-Za-z0-9]+", " ", base).lower()
    words = re.sub(
        r"\b(armature|rig|man|woman|human|male|female|character|anim|animation|loop|rm|in place)\b", " ", words
    )
    words = re.sub(r"\b([a-z]|\d+)\b", " ", words)  # variants: A, B, 1, 02
    words = " ".join(words.split())
    known = "|".join(sorted(PLAIN, key=len, reverse=True))
    return " ".join(re.sub(rf"\b({known})\b", lambda found: PLAIN[found[0]], words).split())


def swapped(text: str) -> str:
    """The text with left and right exchanged: what a mirrored clip shows."""
    return re.sub(r"\b(left|right)\b", lambda side: "right" if side[0] == "left" else "left", text)


def steps_on(text: str) -> bool:
    """Whether somebody gets from one place to another in such a clip."""
    return any(word.startswith(STEPS) for word in text.split())
