"""Names to parts."""

import pytest

from unreel.engine import registry
from unreel.engine.context.window import SinkWindow
from unreel.engine.errors import UserError


def test_a_part_is_built_from_its_words() -> None:
    assert registry.create("context", {"class": "window", "recent": 2}) == SinkWindow(recent=2)


def test_an_outside_part_is_found_by_name() -> None:
    registry.register("reuse", "mine", "unreel.engine.reuse.base:Never")
    assert registry.find("reuse", "mine").__name__ == "Never"
    assert "mine" in registry.names("reuse")


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"class": "widow"}, "known are"),
        ({"class": "window", "size": 3}, "no option size"),
        ({"recent": 2}, "class: NAME"),
        ({"class": "window", "recent": 0}, "recent >= 1"),
    ],
)
def test_bad_words_are_told_apart(spec: dict[str, object], told: str) -> None:
    with pytest.raises(UserError, match=told):
        registry.create("context", spec)


def test_missing_options_are_named() -> None:
    with pytest.raises(UserError, match="needs channels"):
        registry.create("backbone", {"class": "patch-dit"})


def test_kinds_are_fixed() -> None:
    with pytest.raises(ValueError, match="kinds are"):
        registry.register("sauce", "x", "y:z")
