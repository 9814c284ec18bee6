"""The action grammar."""

import pytest

from unreel.engine.actions import canonical, parse_actions
from unreel.engine.errors import UserError

KNOWN = ["none", "w", "wd", "as"]


def test_keys_dash_frames() -> None:
    assert parse_actions("w-40, dw-20,none-10,SA", KNOWN) == [("w", 40), ("wd", 20), ("none", 10), ("as", 1)]


def test_key_sets_have_no_order() -> None:
    assert canonical("DW") == canonical("wd") == "dw"
    assert canonical("") == canonical("none") == "none"


@pytest.mark.parametrize("text", ["w-0", "w--3", "w-x", "jump-3", "-4,w", "w-1.5"])
def test_what_is_not_an_action_is_refused(text: str) -> None:
    with pytest.raises(UserError):
        parse_actions(text, [k for k in KNOWN if k != "none"])
